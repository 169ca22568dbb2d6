package integration

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// place writes a settings file with the common lines first, into a folder of
// its own.
func place(t testing.TB, toml string) (dir, file string) {
	t.Helper()
	dir = folder(t)
	file = filepath.Join(dir, "unicorn.toml")
	put(t, file, config+"worker_kill_timeout = \"10s\"\n"+toml)
	return dir, file
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func kill(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("signal %v to %d: %v", sig, pid, err)
	}
}

// again starts another master on the same file.
func again(t testing.TB, dir string) *server {
	t.Helper()
	return launchCommand(t, dir, exec.Command(programs.fugue, "-c", filepath.Join(dir, "unicorn.toml")))
}

// throughShell runs a line of sh that ends in `exec "$@"`, so that it becomes the
// master and has its pid.
func throughShell(t testing.TB, dir, line string) *server {
	t.Helper()
	return launchCommand(t, dir, exec.Command("/bin/sh", "-c", line+` exec "$@"`, "sh",
		programs.fugue, "-c", filepath.Join(dir, "unicorn.toml")))
}

// booting is the test app, told how to misbehave before it is ready, if the file
// flag exists; always if flag is empty.
func booting(how, flag string) string {
	return app() + fmt.Sprintf("env = { BOOT = %q, BOOT_IF = %q }\n", how, flag)
}

// foreign is an app that knows nothing of fugue: a line of sh.
func foreign(line, ready string) string {
	return fmt.Sprintf("[app]\ncommand = [\"/bin/sh\", \"-c\", %q]\nready = %q\n", line, ready)
}

// refused waits for a master that does not start: exit status 1 and all of the
// words in what it says.
func (s *server) refused(words ...string) {
	s.t.Helper()
	s.unclean = true
	s.ends(1)
	s.says(words...)
}

// says checks what has been said. What the server has written arrives here a moment
// later, and all of it before its end.
func (s *server) says(words ...string) {
	s.t.Helper()
	for _, w := range words {
		s.log.wait(s.t, w, s.exited)
	}
}

// ends waits for the end and checks the exit status.
func (s *server) ends(code int) {
	s.t.Helper()
	if got := s.wait(); got != code {
		s.t.Errorf("exit status %d, not %d", got, code)
	}
}

// running waits for a ready master whose log cannot be read.
func (s *server) running() {
	s.t.Helper()
	eventually(s.t, "the control socket says running", func() bool {
		st, err := s.tryStatus()
		if err == nil && len(st.Listeners) > 0 {
			s.address = st.Listeners[0].Address
		}
		return err == nil && st.State == "running"
	})
}

// replaced waits until slot has another ready worker than old.
func (s *server) replaced(slot, old int) int {
	s.t.Helper()
	now := 0
	eventually(s.t, fmt.Sprintf("worker %d has a successor", slot), func() bool {
		now = pids(s.status())[slot]
		return now != 0 && now != old
	})
	return now
}

// starting waits until slot has a process that is not ready.
func (s *server) starting(slot int) int {
	s.t.Helper()
	pid := 0
	eventually(s.t, fmt.Sprintf("worker %d is starting", slot), func() bool {
		for _, w := range s.status().Workers {
			if w.ID == slot && w.State == "starting" {
				pid = w.PID
			}
		}
		return pid != 0
	})
	return pid
}

// pauses returns the pauses after failed starts of slot, in their order.
func (s *server) pauses(slot int) []string {
	line := regexp.MustCompile(fmt.Sprintf(`msg="worker start delayed" worker=%d after=(\S+)`, slot))
	var found []string
	for _, m := range line.FindAllStringSubmatch(s.log.String(), -1) {
		found = append(found, m[1])
	}
	return found
}

// waitPauses waits until slot has paused as often as want has entries, and
// compares.
func (s *server) waitPauses(slot int, want ...string) {
	s.t.Helper()
	s.log.waitN(s.t, fmt.Sprintf("msg=\"worker start delayed\" worker=%d ", slot), len(want), s.exited)
	if got := s.pauses(slot); !slices.Equal(got, want) {
		s.t.Errorf("worker %d paused %v, not %v", slot, got, want)
	}
}

// untouched checks that slot still has the process pid, ready.
func (s *server) untouched(slot, pid int) {
	s.t.Helper()
	if now := pids(s.status())[slot]; now != pid {
		s.t.Errorf("worker %d was %d and is %d", slot, pid, now)
	}
}

func (s *server) healthy() {
	s.t.Helper()
	resp, err := s.controlClient().Get("http://control/readyz")
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Errorf("/readyz: %s", resp.Status)
	}
}

func (s *server) files() []int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	if err != nil {
		s.t.Fatal(err)
	}
	var fds []int
	for _, e := range list {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			fds = append(fds, fd)
		}
	}
	slices.Sort(fds)
	return fds
}

// limitFiles leaves the running master k descriptors more than it has, and
// returns how to take that back.
func (s *server) limitFiles(k int) (restore func()) {
	s.t.Helper()
	used, free := s.files(), 0
	limit := 0
	for ; free < k || slices.Contains(used, limit); limit++ {
		if !slices.Contains(used, limit) {
			free++
		}
	}
	var old unix.Rlimit
	if err := unix.Prlimit(s.pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		s.t.Fatal(err)
	}
	set := func(cur uint64) {
		if err := unix.Prlimit(s.pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: cur, Max: old.Max}, nil); err != nil {
			s.t.Error(err)
		}
	}
	set(uint64(limit))
	return func() { set(old.Cur) }
}

// freePort is a port nobody listens on now.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// cp uses cp(1): were this process to write the program, a child of a test
// beside this one could hold the descriptor for a moment and make executing it
// fail with "text file busy" (golang/go#22315).
func cp(t testing.TB, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func rootFor(t testing.TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: " + why)
	}
}

func needProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s: %v", name, err)
	}
	return path
}

// ask makes a request in the background.
func (s *server) ask(path string) <-chan error {
	done := make(chan error, 1)
	go func() { _, err := s.tryGet(path); done <- err }()
	return done
}

func readAll(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var _ io.Reader
