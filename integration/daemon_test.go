package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// becomesDaemon waits for the launcher's good end. From here on s is the daemon,
// which the pid file names.
func (s *server) becomesDaemon(pidFile string) {
	s.t.Helper()
	if code := s.wait(); code != 0 {
		s.t.Fatalf("the launcher ended with status %d:\n%s", code, s.log)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		s.t.Fatalf("the launcher returned without a pid file: %v", err)
	}
	if s.pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		s.t.Fatal(err)
	}
	gone := make(chan struct{})
	s.exited, s.err = gone, nil
	s.t.Cleanup(func() { // before the harness looks for what is left
		processes := append(children(s.t, s.pid), s.pid)
		s.signal(syscall.SIGTERM)
		for _, pid := range processes {
			eventually(s.t, fmt.Sprintf("process %d ends after TERM", pid), func() bool { return !alive(pid) })
		}
		text, _ := os.ReadFile(filepath.Join(s.dir, "master.log"))
		_, _ = s.log.Write(text)
		close(gone)
	})
	st := s.status()
	if st.PID != s.pid || st.State != "running" {
		s.t.Errorf("when the launcher returns, process %d is %s; the pid file says %d", st.PID, st.State, s.pid)
	}
	s.address = st.Listeners[0].Address
}

// startDaemon runs `fugue-http -c FILE -D`.
func startDaemon(t *testing.T, toml string, through ...string) *server {
	t.Helper()
	needVerbs(t)
	dir, file := settings(t, "master_pid_path = \"app.pid\"\nmaster_log_file = \"master.log\"\n"+toml)
	args := append(slices.Clone(through), programs.fugue, "-c", file, "-D")
	s := launchCommand(t, dir, exec.Command(args[0], args[1:]...))
	s.becomesDaemon(filepath.Join(dir, "app.pid"))
	return s
}

// verb runs the program against this server, and returns what it says.
func (s *server) verb(code int, words ...string) string {
	s.t.Helper()
	cmd := exec.Command(programs.fugue, append(words, "-s", s.controlPath())...)
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("%q ended with status %d (%v): %s", words, got, err, out)
	}
	return string(out)
}

// -D returns when the workers answer; the verbs reach the daemon; `stop` returns
// when it has ended and its pid file and sockets are gone.
func TestDaemonAndVerbs(t *testing.T) {
	t.Parallel()
	s := startDaemon(t, "workers = 2\nlog_file = \"app.log\"\n"+app())
	s.get("/pid")
	if out := s.verb(0, "status"); !strings.Contains(out, strconv.Itoa(s.pid)) {
		t.Errorf("status does not name process %d:\n%s", s.pid, out)
	}
	s.verb(0, "scale", "+2")
	s.waitWorkers(4)
	s.verb(0, "scale", "-1")
	s.waitWorkers(3)
	file := filepath.Join(s.dir, "app.log")
	if err := os.Rename(file, file+".0"); err != nil {
		t.Fatal(err)
	}
	s.verb(0, "reopen-logs")
	for _, pid := range pids(s.status()) {
		waitWriter(t, pid, file)
	}
	s.verb(0, "stop")
	if alive(s.pid) {
		t.Error("stop returned before the master had ended")
	}
	for _, name := range []string{"app.pid", "control.sock"} {
		if _, err := os.Lstat(filepath.Join(s.dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", name, err)
		}
	}
	if out := s.verb(1, "status"); !strings.Contains(out, "nothing listens") {
		t.Errorf("status of nobody: %s", out)
	}
}

// A daemon has a session of its own, no terminal, keeps no folder busy, has
// /dev/null for 0 and nothing that the launcher was given (S35).
func TestDaemonLeavesEverything(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := startDaemon(t, "workers = 1\nlog_file = \"app.log\"\n"+app(), inShell(fmt.Sprintf(`cd %s; exec 3<secret 9<secret; exec "$@"`, dir))...)
	for who, pid := range map[string]int{"master": s.pid, "worker": s.status().Workers[0].PID} {
		session, err := unix.Getsid(pid)
		if err != nil || session != s.pid {
			t.Errorf("the session of the %s is %d (%v)", who, session, err)
		}
		if tty := statField(t, pid, 7); tty != "0" {
			t.Errorf("the terminal of the %s is %s", who, tty)
		}
		for fd, target := range descriptorsOf(pid) {
			if target == secret || fd == "0" && target != os.DevNull {
				t.Errorf("descriptor %s of the %s is %s", fd, who, target)
			}
		}
	}
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", s.pid)); err != nil || cwd != "/" {
		t.Errorf("the daemon is in %s (%v)", cwd, err)
	}
	if me := s.self(); me.Dir != s.dir {
		t.Errorf("the worker is in %s", me.Dir)
	}
}

// statField is a field of /proc/PID/stat, counted as proc(5) does.
func statField(t *testing.T, pid, n int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return strings.Fields(after)[n-3]
}

// Under a terminal of its own the daemon still has none, and does not end with
// it (S35).
func TestDaemonOutlivesItsTerminal(t *testing.T) {
	t.Parallel()
	needVerbs(t)
	needTool(t, "script")
	dir, file := settings(t, "master_pid_path = \"app.pid\"\nmaster_log_file = \"master.log\"\nworkers = 1\n"+app())
	s := launchCommand(t, dir, exec.Command("script", "-qec", fmt.Sprintf("%s -c %s -D", programs.fugue, file), "/dev/null"))
	s.becomesDaemon(filepath.Join(dir, "app.pid")) // script has ended, and its terminal with it
	if tty := statField(t, s.pid, 7); tty != "0" {
		t.Errorf("the daemon's terminal is %s", tty)
	}
	s.get("/pid")
}

// If the first workers do not become ready, or the file is wrong, -D says so where
// it was called, with the app's own last words, and leaves nothing behind.
func TestDaemonThatCannotStart(t *testing.T) {
	t.Parallel()
	needVerbs(t)
	for _, c := range []struct {
		what, toml string
		code       int
		why        []string
	}{
		{"crash", app() + "env = { BOOT = \"crash\" }\n", 1, []string{"no worker became ready", "boom: no database"}},
		{"crash with a log", "log_file = \"app.log\"\n" + app() + "env = { BOOT = \"crash\" }\n", 1, []string{"no worker became ready", "boom: no database"}},
		{"late", "boot_timeout = \"300ms\"\n" + app() + "env = { BOOT = \"hang\" }\n", 1, []string{"no worker became ready within 300ms"}},
		{"wrong file", "workers = \"two\"\n" + app(), 2, []string{"workers"}},
		{"pid file in the way", "[[listener]]\naddress = \"unix:app.pid\"\n" + app(), 1, []string{"app.pid"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			dir, file := settings(t, "master_pid_path = \"app.pid\"\n"+c.toml)
			s := launchCommand(t, dir, exec.Command(programs.fugue, "-c", file, "-D"))
			s.unclean = true
			if code := s.wait(); code != c.code {
				t.Errorf("exit status %d, not %d", code, c.code)
			}
			for _, why := range c.why {
				if !strings.Contains(s.log.String(), why) {
					t.Errorf("it does not say %q:\n%s", why, s.log)
				}
			}
			for _, name := range []string{"app.pid", "control.sock"} {
				if _, err := os.Lstat(filepath.Join(dir, name)); !os.IsNotExist(err) {
					t.Errorf("%s was left behind (%v)", name, err)
				}
			}
		})
	}
}

// A pid file proves nothing: `stop` asks the one who listens on the control
// socket, and whoever the file names is not signalled (S15).
func TestStopDoesNotBelieveAPIDFile(t *testing.T) {
	t.Parallel()
	needVerbs(t)
	bystander := exec.Command("sleep", "600")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bystander.Process.Kill(); _ = bystander.Wait() }()
	dir, file := settings(t, "master_pid_path = \"app.pid\"\n"+app())
	if err := os.WriteFile(filepath.Join(dir, "app.pid"), fmt.Appendln(nil, bystander.Process.Pid), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(programs.fugue, "stop", "-c", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nothing listens") {
		t.Errorf("stop: %v, %s", err, out)
	}
	if !alive(bystander.Process.Pid) {
		t.Error("a bystander was ended")
	}
}
