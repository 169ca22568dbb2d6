package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
)

const limit = 20 * time.Second // failure bound; a passing test waits for events only

func within[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(limit):
		t.Fatalf("%s: nothing within %v", what, limit)
	}
	return v
}

// link is the master's side of one worker: the far ends of its pipe and socket.
type link struct {
	pipe     *os.File // read end
	commands *net.UnixConn
	near     [2]int            // the worker's ends: pipe, command socket
	messages chan wire.Message // what the worker says; closed at its end
}

// newLink makes the descriptors of one worker. Reading begins with listen.
func newLink(t testing.TB) *link {
	t.Helper()
	syscall.ForkLock.RLock() // or a child started meanwhile inherits them, and no EOF ever comes
	defer syscall.ForkLock.RUnlock()
	var p [2]int
	check(t, unix.Pipe(p[:]))
	s, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	check(t, err)
	for _, fd := range append(p[:], s[:]...) {
		unix.CloseOnExec(fd)
		check(t, unix.SetNonblock(fd, true))
	}
	f := os.NewFile(uintptr(s[0]), "commands")
	c, err := net.FileConn(f)
	check(t, err)
	f.Close()
	l := &link{
		pipe:     os.NewFile(uintptr(p[0]), "pipe"),
		commands: c.(*net.UnixConn),
		near:     [2]int{p[1], s[1]},
		messages: make(chan wire.Message, 1<<16),
	}
	t.Cleanup(l.cut)
	return l
}

// listen reads the pipe until the worker's end is closed.
func (l *link) listen() {
	go func() {
		defer close(l.messages)
		var lines wire.Lines
		buf := make([]byte, 4096)
		for {
			n, err := l.pipe.Read(buf)
			lines.Feed(buf[:n], func(line []byte) {
				m, err := wire.Parse(line)
				if err != nil {
					m = wire.Message{Type: "malformed", Reason: string(line)}
				}
				l.messages <- m
			})
			if err != nil {
				return
			}
		}
	}()
}

// cut is the master's death: its descriptors are closed.
func (l *link) cut() {
	l.pipe.Close()
	l.commands.Close()
}

func (l *link) command(t testing.TB, c wire.CommandType, fds ...int) {
	t.Helper()
	l.write(t, wire.Command{Type: c}, fds...)
}

func (l *link) drainLast(t testing.TB) {
	t.Helper()
	l.write(t, wire.Command{Type: wire.CommandDrain, Last: true})
}

func (l *link) write(t testing.TB, c wire.Command, fds ...int) {
	t.Helper()
	_, _, err := l.commands.WriteMsgUnix(c.Append(nil), unix.UnixRights(fds...), nil)
	check(t, err)
}

// await returns the first message for which ok holds.
func (l *link) await(t testing.TB, what string, ok func(wire.Message) bool) wire.Message {
	t.Helper()
	bound := time.After(limit)
	for {
		select {
		case m, open := <-l.messages:
			if !open {
				t.Fatalf("%s: the worker's pipe ended", what)
			}
			if m.Type == "malformed" {
				t.Fatalf("%s: malformed line %q", what, m.Reason)
			}
			if ok(m) {
				return m
			}
		case <-bound:
			t.Fatalf("%s: not said within %v", what, limit)
		}
	}
}

func (l *link) awaitType(t testing.TB, want wire.Type) wire.Message {
	t.Helper()
	return l.await(t, string(want), func(m wire.Message) bool { return m.Type == want })
}

// busy waits for a beat with n requests in flight.
func (l *link) busy(t testing.TB, n int64) {
	t.Helper()
	l.await(t, "a beat of a busy worker", func(m wire.Message) bool { return m.Type == wire.Beat && m.InFlight == n })
}

// socket is a listening socket as the master holds it: a raw descriptor.
type socket struct {
	fd   int
	addr string
}

func newSocket(t testing.TB) socket {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer ln.Close()
	s := socket{fd: rawDup(t, ln.(syscall.Conn)), addr: ln.Addr().String()}
	t.Cleanup(func() { unix.Close(s.fd) })
	return s
}

// rawDup duplicates without Fd, which would make the description blocking.
func rawDup(t testing.TB, of syscall.Conn) (dup int) {
	t.Helper()
	rc, err := of.SyscallConn()
	check(t, err)
	var dupErr error
	check(t, rc.Control(func(fd uintptr) { dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }))
	check(t, dupErr)
	return dup
}

func (s socket) assertNonblocking(t testing.TB, when string) {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(s.fd), unix.F_GETFL, 0)
	check(t, err)
	if flags&unix.O_NONBLOCK == 0 {
		t.Errorf("the shared listener is blocking %s", when)
	}
}

func (s socket) url(path string) string { return "http://" + s.addr + path }

// start is how a helper is started.
type start struct {
	helper   string
	socket   *socket
	settings wire.Settings
	stdout   *os.File
	link     *link // nil: a new one
	env      []string
	pid      string // LISTEN_PID: "" none, "$$" as the first stage sets it
	alone    bool   // no pipe, no command socket
}

// child is a helper process, started as the master starts a worker.
type child struct {
	*link
	pid  int
	exit chan syscall.WaitStatus // closed after the exit; what it exited with is sent first
}

// testSettings beat fast, so that tests see states soon.
var testSettings = wire.Settings{
	BeatEvery:  10 * time.Millisecond,
	DrainLimit: limit,
	HTTP:       wire.HTTP{Linger: time.Second, IdleTimeout: time.Minute},
}

func spawn(t testing.TB, s start) *child {
	t.Helper()
	c := spawnUnread(t, s)
	c.listen()
	return c
}

// spawnUnread starts a worker whose master does not read its pipe.
func spawnUnread(t testing.TB, s start) *child {
	t.Helper()
	usedMu.Lock()
	used[s.helper] = true
	usedMu.Unlock()
	if s.link == nil {
		s.link = newLink(t)
	}
	c := &child{link: s.link, exit: make(chan syscall.WaitStatus, 1)}
	argv := []string{"/bin/sh", "-c", `exec "$0"`, testBinary(t)}
	if s.pid != "" {
		argv[2] = "LISTEN_PID=" + s.pid + ` exec "$0"`
	}
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Env: s.environ(t), Files: s.files()})
	check(t, err)
	c.pid = pid
	unix.Close(s.link.near[0])
	unix.Close(s.link.near[1])
	c.reap()
	t.Cleanup(c.kill)
	return c
}

// kill ends a helper that a failed test has left. It is reaped before its number
// can be another's.
func (c *child) kill() {
	select {
	case <-c.exit:
	default:
		syscall.Kill(c.pid, syscall.SIGKILL)
	}
}

func (s start) files() []uintptr {
	out := uintptr(1)
	if s.stdout != nil {
		out = s.stdout.Fd()
	}
	files := []uintptr{0, out, 2}
	if s.socket != nil {
		files = append(files, uintptr(s.socket.fd))
	}
	if s.alone {
		return files
	}
	return append(files, uintptr(s.link.near[0]), uintptr(s.link.near[1]))
}

func (s start) environ(t testing.TB) []string {
	t.Helper()
	// A program built with -race sleeps a second before it exits, unless told.
	env := append(os.Environ(), "GORACE=atexit_sleep_ms=0", helperEnv+"="+s.helper)
	env = append(env, s.env...)
	next := 3
	if s.socket != nil {
		env = append(env, wire.EnvListenFDs+"=1", wire.EnvListenNames+"=web")
		next++
	}
	if s.alone {
		return env
	}
	settings := s.settings
	if reflect.DeepEqual(settings, wire.Settings{}) {
		settings = testSettings
	}
	j, err := json.Marshal(settings)
	check(t, err)
	return append(env,
		wire.EnvProtocol+"="+wire.Protocol, wire.EnvWorkerID+"=2", wire.EnvGeneration+"=5",
		fmt.Sprintf("%s=%d", wire.EnvPipeFD, next), fmt.Sprintf("%s=%d", wire.EnvCommandFD, next+1),
		wire.EnvSettings+"="+string(j))
}

func (c *child) reap() {
	go func() {
		defer close(c.exit)
		var status syscall.WaitStatus
		for {
			_, err := syscall.Wait4(c.pid, &status, 0, nil)
			if !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		c.exit <- status
	}()
}

func (c *child) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	check(t, syscall.Kill(c.pid, s))
}

func (c *child) awaitExit(t testing.TB, code int) {
	t.Helper()
	status := within(t, "exit", c.exit)
	if !status.Exited() || status.ExitStatus() != code {
		t.Errorf("exit status %d, signal %d; want status %d", status.ExitStatus(), status.Signal(), code)
	}
}

func testBinary(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	check(t, err)
	return path
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// full fills the worker's pipe and returns how much it took.
func (l *link) full(t testing.TB) (n int) {
	t.Helper()
	junk := []byte(strings.Repeat(" ", 4095) + "\n")
	for _, size := range []int{len(junk), 1} {
		for {
			m, err := unix.Write(l.near[0], junk[:size])
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			check(t, err)
			n += m
		}
	}
	return n
}

// empty reads n bytes, the junk, and then listens.
func (l *link) empty(t testing.TB, n int) {
	t.Helper()
	_, err := io.ReadFull(l.pipe, make([]byte, n))
	check(t, err)
	l.listen()
}
