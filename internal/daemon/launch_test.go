package daemon

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// With this variable set the test binary is a launcher, and then the daemon that
// it launches: "ROLE FIFO". The daemon holds the FIFO open for as long as it
// lives, and writes its facts into it.
const roleEnv = "DAEMON_TEST_ROLE"

const patience = 20 * time.Second

var roles = map[string]func(r *Reporter, fifo *os.File){
	"ok":     beOk,
	"failed": beFailed,
	"died":   func(*Reporter, *os.File) { os.Exit(3) },
	"killed": func(*Reporter, *os.File) { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} },
	"slow":   beSlow,
}

func TestMain(m *testing.M) {
	role, path, _ := strings.Cut(os.Getenv(roleEnv), " ")
	if role == "" {
		os.Exit(m.Run())
	}
	if os.Getenv("LISTEN_FDS") != "" && os.Getenv(Env) == "" {
		os.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid())) // as systemd does between fork and exec
	}
	r := NewReporter()
	if r == nil {
		os.Exit(beLauncher())
	}
	fifo, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		r.Failed(err.Error())
		os.Exit(1)
	}
	roles[role](r, fifo)
}

func beLauncher() int {
	if err := Launch(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// facts are what a daemon finds around it.
type facts struct {
	PID, Session int
	Folder, Comm string
	Terminal     string // why there is none
	FDs          map[string]string
	Argv         []string
	ListenPID    int
	Leftover     string // of the environment
}

func beOk(r *Reporter, fifo *os.File) {
	if err := r.Settle(); err != nil {
		r.Failed(err.Error())
	}
	tell(fifo)
	r.Ok()
	r.Failed("too late to say so")
	select {}
}

func beFailed(r *Reporter, _ *os.File) {
	r.Failed("listen on 127.0.0.1:80: permission denied")
	r.Ok()
	os.Exit(1)
}

// beSlow never gets ready, and leaves when it is told to.
func beSlow(_ *Reporter, fifo *os.File) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	tell(fifo)
	<-term
	fmt.Fprintln(fifo, "stopped")
	os.Exit(0)
}

func tell(fifo *os.File) {
	var f facts
	f.PID, f.Argv, f.FDs, f.Leftover = os.Getpid(), os.Args, descriptors(), os.Getenv(Env)
	f.Session, _ = unix.Getsid(0)
	f.Folder, _ = os.Getwd()
	comm, _ := os.ReadFile("/proc/self/comm")
	f.Comm = strings.TrimSpace(string(comm))
	fmt.Sscan(os.Getenv("LISTEN_PID"), &f.ListenPID)
	if _, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err != nil {
		f.Terminal = errors.Unwrap(err).Error()
	}
	_ = json.NewEncoder(fifo).Encode(f)
}

func descriptors() map[string]string {
	fds := map[string]string{}
	for fd := range 20 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil {
			fds[fmt.Sprint(fd)] = to
		}
	}
	return fds
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// launched is a launcher that runs, and what its daemon writes.
type launched struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	fifo   *bufio.Reader
}

// launch starts a launcher; change, if not nil, may change how.
func launch(t *testing.T, role string, change func(*exec.Cmd)) *launched {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(path, 0o600))
	// For reading and writing, so that opening waits for nobody; the daemon must
	// be the only writer when EOF counts, hence the second descriptor.
	both, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	fifo, err := os.OpenFile(path, os.O_RDONLY, 0)
	must(t, err)
	must(t, fifo.SetReadDeadline(time.Now().Add(patience)))
	l := &launched{cmd: exec.Command("/proc/self/exe", "-x", "an argument"), fifo: bufio.NewReader(fifo)}
	l.cmd.Env = append(os.Environ(), roleEnv+"="+role+" "+path, "GORACE=atexit_sleep_ms=0")
	l.cmd.Stderr = &l.stderr
	if change != nil {
		change(l.cmd)
	}
	must(t, l.cmd.Start())
	t.Cleanup(func() { fifo.Close(); both.Close() })
	t.Cleanup(func() { l.cmd.Process.Kill(); l.cmd.Wait() })
	return l
}

// facts waits for those of the daemon.
func (l *launched) facts(t *testing.T) (f facts) {
	t.Helper()
	line, err := l.fifo.ReadBytes('\n')
	must(t, err)
	must(t, json.Unmarshal(line, &f))
	return f
}

// endWith kills a daemon that would live on after the test.
func (f facts) endWith(t *testing.T) {
	t.Cleanup(func() { _ = syscall.Kill(f.PID, syscall.SIGKILL) })
}

func (l *launched) wantExit(t *testing.T, code int, stderr string) {
	t.Helper()
	_ = l.cmd.Wait()
	if got := l.cmd.ProcessState.ExitCode(); got != code || l.stderr.String() != stderr {
		t.Errorf("exit %d, stderr %q, want %d, %q", got, &l.stderr, code, stderr)
	}
}

func TestTheLauncherReturnsWhenTheDaemonIsReady(t *testing.T) {
	t.Parallel()
	l := launch(t, "ok", nil)
	f := l.facts(t)
	f.endWith(t)
	l.wantExit(t, 0, "")
	if f.Session != f.PID || f.PID == l.cmd.Process.Pid {
		t.Errorf("%+v: no session of its own", f)
	}
	if f.Folder != "/" || f.Leftover != "" {
		t.Errorf("%+v", f)
	}
	if got := strings.Join(f.Argv[1:], "|"); got != "-x|an argument" {
		t.Errorf("arguments are %q", got)
	}
	if syscall.Kill(f.PID, 0) != nil {
		t.Error("the daemon does not run")
	}
}

func TestTheLauncherSaysWhyTheDaemonFailed(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]string{
		"failed": "listen on 127.0.0.1:80: permission denied",
		"died":   "the master died while starting (exit status 3)",
		"killed": "the master died while starting (signal 9, killed)",
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			launch(t, role, nil).wantExit(t, 1, want+"\n")
		})
	}
}

func TestASignalToTheLauncherStopsTheDaemon(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			l := launch(t, "slow", nil)
			l.facts(t)
			must(t, l.cmd.Process.Signal(sig))
			l.wantExit(t, 1, "interrupted while starting: stopped again\n")
			if line, err := l.fifo.ReadString('\n'); err != nil || line != "stopped\n" {
				t.Errorf("the daemon said %q, %v", line, err)
			}
		})
	}
}

func TestAProcessWithoutALauncherHasNoReporter(t *testing.T) {
	for _, fd := range []string{"", "x", "1", "999999"} {
		t.Setenv(Env, fd)
		r := NewReporter()
		if r != nil {
			t.Errorf("%q: got a reporter", fd)
		}
		if _, any := os.LookupEnv(Env); any {
			t.Errorf("%q: the variable is still there", fd)
		}
		r.Ok()
		r.Failed("nobody hears this")
		must(t, r.Settle())
	}
}

func TestALauncherThatWasKilledMissesNothing(t *testing.T) {
	t.Parallel()
	word, say, err := os.Pipe()
	must(t, err)
	must(t, word.Close())
	(&Reporter{say: say}).Ok() // must not end us with SIGPIPE
}

func TestALongReasonIsCut(t *testing.T) {
	t.Parallel()
	if got := hear(io.LimitReader(zeros{}, 10*maxWord)); len(got) != maxWord {
		t.Errorf("%d bytes", len(got))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
