package integration

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// notified is a stand-in for systemd: it collects what the service says.
type notified struct {
	t    testing.TB
	path string
	mu   sync.Mutex // guards all below
	list []notice
}

type notice struct {
	words map[string]string
	pid   int   // of the sender, as the kernel says
	usec  int64 // of the monotonic clock, when it came
}

// notifySocket listens until the test ends.
func notifySocket(t testing.TB, path string) *notified {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	}); err != nil {
		t.Fatal(err)
	}
	n := &notified{t: t, path: path}
	done := make(chan struct{})
	go func() { n.listen(c); close(done) }()
	t.Cleanup(func() { c.Close(); <-done })
	return n
}

// listen ends with the connection.
func (n *notified) listen(c *net.UnixConn) {
	text, oob := make([]byte, 8<<10), make([]byte, 256)
	for {
		size, oobSize, _, _, err := c.ReadMsgUnix(text, oob)
		if err != nil {
			return
		}
		got := notice{words: map[string]string{}, usec: monotonic()}
		for line := range strings.Lines(string(text[:size])) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			got.words[name] = value
		}
		if messages, err := unix.ParseSocketControlMessage(oob[:oobSize]); err == nil && len(messages) > 0 {
			if cred, err := unix.ParseUnixCredentials(&messages[0]); err == nil {
				got.pid = int(cred.Pid)
			}
		}
		n.mu.Lock()
		n.list = append(n.list, got)
		n.mu.Unlock()
	}
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano() / 1000
}

// life is the order of the words about the service's state.
func (n *notified) life() (words []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, got := range n.list {
		for _, word := range []string{"RELOADING", "READY", "STOPPING"} {
			if got.words[word] == "1" {
				words = append(words, word)
			}
		}
	}
	return words
}

// lives waits for that order.
func (n *notified) lives(want ...string) {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("systemd hears %v", want), func() bool { return len(n.life()) >= len(want) })
	if got := n.life(); fmt.Sprint(got) != fmt.Sprint(want) {
		n.t.Errorf("systemd hears %v, not %v", got, want)
	}
}

func (n *notified) count(word string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	sum := 0
	for _, got := range n.list {
		if got.words[word] != "" {
			sum++
		}
	}
	return sum
}

// honest checks that the master alone has spoken, and told the right time.
func (n *notified) honest(master int) {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, got := range n.list {
		if got.pid != master {
			n.t.Errorf("%v comes from process %d, the master is %d", got.words, got.pid, master)
		}
		if got.words["RELOADING"] == "" {
			continue
		}
		said, err := strconv.ParseInt(got.words["MONOTONIC_USEC"], 10, 64)
		if err != nil || said > got.usec || said < got.usec-patience.Microseconds() {
			n.t.Errorf("RELOADING=1 came at %d of the monotonic clock and says %q", got.usec, got.words["MONOTONIC_USEC"])
		}
	}
}

// underSystemd starts d as systemd would: the variables name the process.
func (d *deployment) underSystemd(n *notified, env ...string) {
	d.t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `export WATCHDOG_PID=$$ LISTEN_PID=$$; exec "$@"`, "sh", d.master, "-c", d.file)
	cmd = withEnv(cmd.Path, cmd.Args[1:], append(env, "NOTIFY_SOCKET="+n.path)...)
	d.server = launchCommand(d.t, d.dir, cmd)
	d.waitReady()
}

// systemd hears when the service is ready, reloads (even if in vain) and stops
// (F79; systemd.service(5), Type=notify-reload).
func TestNotifyOfReloads(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 2\n", "")
	n := notifySocket(t, filepath.Join(d.dir, "notify.sock"))
	d.underSystemd(n)
	d.noCrash()
	n.lives("READY")
	d.ok("reload", d.hup)
	n.lives("READY", "RELOADING", "READY")
	d.edit("workers = 2", "worker = 2")
	d.failed("reload", d.hup)
	n.lives("READY", "RELOADING", "READY", "RELOADING", "READY")
	d.edit("worker = 2", "workers = 2")
	d.script(d.app, "#!/bin/sh\nexit 3\n", 0o755)
	d.failed("reload", d.hup)
	n.lives("READY", "RELOADING", "READY", "RELOADING", "READY", "RELOADING", "READY")
	d.signal(syscall.SIGTERM)
	d.ends(0)
	n.lives("READY", "RELOADING", "READY", "RELOADING", "READY", "RELOADING", "READY", "STOPPING")
	n.honest(d.pid)
	if n.count("WATCHDOG") > 0 {
		t.Error("the watchdog is fed though systemd has none")
	}
}

// READY is said when requests are answered, not before.
func TestNotifyWaitsForTheWorkers(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 1\n", "env = { BOOT = \"slow\", BOOT_FOR = \"1s\" }\n")
	n := notifySocket(t, filepath.Join(d.dir, "notify.sock"))
	began := time.Now()
	d.underSystemd(n)
	n.lives("READY")
	if took := time.Since(began); took < time.Second {
		t.Errorf("ready after %s with an app that needs a second", took)
	}
	d.get("/pid")
}

// watchdogUSEC is what systemd would set for WatchdogSec=: pings come at half of it.
const watchdogUSEC = 400_000

// The watchdog is fed as long as the master's loop turns.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 1\n", "")
	n := notifySocket(t, filepath.Join(d.dir, "notify.sock"))
	d.underSystemd(n, fmt.Sprint("WATCHDOG_USEC=", watchdogUSEC))
	n.feeds(4)
	d.ok("reload", d.hup)
	n.feeds(4)
	d.signal(syscall.SIGTERM)
	d.ends(0)
	n.honest(d.pid)
	n.regular()
}

// feeds waits for k more pings.
func (n *notified) feeds(k int) {
	n.t.Helper()
	want := n.count("WATCHDOG") + k
	eventually(n.t, fmt.Sprintf("the watchdog is fed %d times", want), func() bool { return n.count("WATCHDOG") >= want })
}

// regular checks the pauses between pings; one that is too long may be the
// machine's, half of them may not.
func (n *notified) regular() {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	var last int64
	var pauses []time.Duration
	for _, got := range n.list {
		if got.words["WATCHDOG"] == "" {
			continue
		}
		if last > 0 {
			pauses = append(pauses, time.Duration(got.usec-last)*time.Microsecond)
		}
		last = got.usec
	}
	if m := median(pauses); m > watchdogUSEC*time.Microsecond {
		n.t.Errorf("pings are %s apart, systemd waits for %s", m, watchdogUSEC*time.Microsecond)
	}
}
