package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TERM while no worker is ready yet: no success, no failure either, at once (F54).
func TestTermDuringStart(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"hang", "deaf"} { // the second has to be killed
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := launch(t, "workers = 2\nmaster_pid_path = \"master.pid\"\n"+booting(how, ""))
			s.log.wait(t, "master started", s.exited)
			s.starting(2)
			s.signal(syscall.SIGTERM)
			s.ends(0)
			if s.log.count("msg=ready") > 0 || s.log.count("msg=stopped") != 1 {
				t.Errorf("the log reads\n%s", s.log)
			}
		})
	}
}

// Ctrl-C once drains, twice stops, whatever asked first (F54).
func TestSecondSignalIsQuick(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]syscall.Signal{
		{syscall.SIGINT, syscall.SIGINT}, {syscall.SIGQUIT, syscall.SIGTERM}, {syscall.SIGTERM, syscall.SIGINT},
	} {
		t.Run(fmt.Sprint(pair), func(t *testing.T) {
			t.Parallel()
			s := start(t, "workers = 1\nworker_kill_timeout = \"60s\"\n"+app())
			answer := s.keepBusy(1)
			s.signal(pair[0])
			s.log.wait(t, "msg=signal", s.exited)
			eventually(t, "the worker drains", func() bool { return s.phase(1) == "draining" })
			s.signal(pair[1])
			s.ends(0)
			if err := <-answer; err == nil {
				t.Error("the request of a minute was answered")
			}
		})
	}
}

// A wish beyond what is allowed is refused in words; a large one is met and taken
// back; WINCH empties the house and TTIN brings one back (F73).
func TestManyWorkers(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\nworker_kill_timeout = \"30s\"\n"+foreign("exec sleep 600", "10ms"))
	first := pids(s.waitWorkers(1))[1]
	if code, text := s.post("/scale", `{"workers":1025}`); code/100 != 4 || !strings.Contains(text, "1024") {
		t.Errorf("1025 workers: %d %s", code, text)
	}
	s.post("/scale", `{"workers":60}`)
	s.waitWorkers(60)
	before := s.quietFiles()
	s.post("/scale", `{"workers":1}`)
	s.waitWorkers(1)
	s.untouched(1, first)
	if now := s.quietFiles(); now > before-59*2 { // a pipe and a socket each
		t.Errorf("%d descriptors with 60 workers, %d with one", before, now)
	}
	s.signal(syscall.SIGWINCH)
	s.waitWorkers(0)
	s.signal(syscall.SIGTTIN)
	s.waitWorkers(1)
}

// Started by something careless: signals ignored or blocked, no descriptors 0 to
// 2, no environment. Workers are reaped and replaced, signals mean what they
// should, for the app too (F78).
func TestCarelessLauncher(t *testing.T) {
	t.Parallel()
	const names = "CHLD,HUP,TERM,QUIT,INT,USR1,PIPE,TTIN,WINCH,ABRT"
	for _, c := range []struct {
		name, sh string
		wrapper  []string
	}{
		{"ignored", "trap '' CHLD HUP TERM QUIT INT USR1 PIPE TTIN WINCH ABRT;", nil},
		{"blocked", "", []string{"env", "--block-signal=" + names}},
		{"closed", "exec 0<&- 1>&- 2>&-;", nil},
		{"no environment", "", []string{"env", "-i"}},
		{"nohup", "", []string{"nohup"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, file := place(t, "workers = 2\nlog_file = \"app.log\"\nmaster_log_file = \"master.log\"\n"+app())
			args := append([]string{"-c", c.sh + ` exec "$@"`, "sh"}, append(c.wrapper, programs.fugue, "-c", file)...)
			s := launchCommand(t, dir, exec.Command("/bin/sh", args...))
			s.running()
			workers := pids(s.waitWorkers(2))
			for _, pid := range []int{s.pid, workers[1]} {
				for fd := range 3 {
					if _, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); err != nil {
						t.Errorf("descriptor %d of %d: %v", fd, pid, err)
					}
				}
			}
			kill(t, workers[1], syscall.SIGKILL)
			s.replaced(1, workers[1])
			kill(t, workers[2], syscall.SIGQUIT) // the app hears, too
			s.replaced(2, workers[2])
			s.signal(syscall.SIGHUP)
			s.signal(syscall.SIGTTIN)
			s.waitWorkers(3)
			s.get("/pid")
			s.signal(syscall.SIGTERM)
			s.ends(0)
			if text := readAll(t, filepath.Join(dir, "master.log")); strings.Contains(text, "level=ERROR") {
				t.Error(text)
			}
		})
	}
}

// Whatever was ignored or blocked where the master was started, an app starts
// with the defaults (F78). sleep(1) touches no signal; a shell or a Go program would.
func TestAppStartsWithDefaultSignals(t *testing.T) {
	t.Parallel()
	dir, file := place(t, "workers = 1\n[app]\ncommand = [\"sleep\", \"600\"]\nready = \"100ms\"\n")
	s := launchCommand(t, dir, exec.Command("env", "--ignore-signal=HUP,INT,QUIT,PIPE,TERM,CHLD,TSTP,TTIN,TTOU,USR1,USR2,ALRM,WINCH",
		"--block-signal=HUP,QUIT,TERM,CHLD,TSTP,USR1,CONT", programs.fugue, "-c", file))
	s.waitReady()
	worker := pids(s.status())[1]
	for _, field := range []string{"SigIgn", "SigBlk"} {
		if mask := statusField(t, worker, field); strings.Trim(mask, "0") != "" {
			t.Errorf("%s of the worker is %s", field, mask)
		}
	}
	s.signal(syscall.SIGTERM)
	s.ends(0)
}

// statusField is one line of /proc/PID/status.
func statusField(t testing.TB, pid int, name string) string {
	t.Helper()
	value := tryStatusField(pid, name)
	if value == "" {
		t.Fatalf("no %s in the status of %d", name, pid)
	}
	return value
}

// tryStatusField returns "" for a process that is gone.
func tryStatusField(pid int, name string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, line := range strings.Split(string(text), "\n") {
		if value, is := strings.CutPrefix(line, name+":"); is {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// When nothing happens the master does nothing: it wakes for heartbeats, and
// without those not at all. It is alone on the machine for that: on a busy one the
// threads of the Go runtime wake up by themselves.
func TestIdleMasterSleeps(t *testing.T) {
	cases := []struct {
		name, app string
		most      float64 // wake-ups a second
	}{
		// Two workers beat once a second; each beat wakes a reader, which wakes the loop.
		{"beats", demo, 2 * 12},
		{"silence", foreign("exec sleep 600", "100ms"), 2},
	}
	servers, before := make([]*server, len(cases)), make([]int, len(cases))
	for i, c := range cases {
		servers[i] = start(t, "workers = 2\n"+c.app)
	}
	for i, s := range servers {
		s.waitWorkers(2)
		s.quietFiles()
		before[i] = s.wakeUps()
	}
	began := time.Now()
	time.Sleep(3 * time.Second) // this is what is measured
	for i, c := range cases {
		n := servers[i].wakeUps() - before[i]
		took := time.Since(began)
		t.Logf("%s: woke up %d times in %s", c.name, n, took)
		if float64(n) > c.most*took.Seconds() {
			t.Errorf("%s: woke up %d times in %s, %v a second are right", c.name, n, took, c.most)
		}
	}
}

// wakeUps counts how often any thread of the master has gone to sleep by itself.
func (s *server) wakeUps() (sum int) {
	s.t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name()) // /proc/TID is there, though it is not listed
		n, err := strconv.Atoi(statusField(s.t, tid, "voluntary_ctxt_switches"))
		if err != nil {
			s.t.Fatal(err)
		}
		sum += n
	}
	return sum
}
