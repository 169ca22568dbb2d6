package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stopped waits until pid is stopped.
func stopped(t testing.TB, pid int) {
	t.Helper()
	kill(t, pid, syscall.SIGSTOP)
	eventually(t, fmt.Sprintf("process %d is stopped", pid), func() bool { return procStatus(t, pid)["State"] == "T (stopped)" })
}

// beaten waits until each worker has beaten: only then is its silence judged.
func (s *server) beaten(workers map[int]int) {
	s.t.Helper()
	s.reach(workers)
	eventually(s.t, "each has beaten", func() bool {
		for _, w := range s.status().Workers {
			if w.Requests == 0 {
				return false
			}
		}
		return true
	})
}

// A stopped worker takes no connection with it: the others serve all of them
// until it is replaced (F7, G9).
func TestStoppedWorker(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 3\nheartbeat_timeout = \"1s\"\n"+app())
	workers := pids(s.waitWorkers(3))
	s.beaten(workers)
	stopped(t, workers[2])
	began := time.Now()
	for n := 0; pids(s.status())[2] == workers[2] || pids(s.status())[2] == 0; n++ {
		if text, err := s.tryGet("/pid"); err != nil || text == fmt.Sprint(workers[2]) {
			t.Fatalf("request %d: %q, %v", n, text, err)
		}
		if time.Since(began) > patience {
			t.Fatal("the stopped worker is not replaced")
		}
	}
	in := s.incident("", "killed")
	if len(s.incidents()) != 1 || in.Kind != "silent" || in.Worker != 2 || in.PID != workers[2] || in.Outcome != "killed" ||
		!strings.HasPrefix(in.Reason, "silent for 1") {
		t.Errorf("the incidents are %+v", s.incidents())
	}
	s.log.inOrder(t, "msg=\"worker aborted\" worker=2", "msg=\"worker killed\" worker=2", "msg=\"worker gone\" worker=2")
	if text := s.verb(0, "incidents"); !strings.Contains(text, "silent  worker 2") {
		t.Errorf("incidents: %s", text)
	}
	if st := s.status(); st.Counters.Exits["silent"] != 1 || st.Counters.Spawned != 4 {
		t.Errorf("counted %+v", st.Counters)
	}
	s.untouched(1, workers[1])
	s.untouched(3, workers[3])
}

// A master that was stopped does not take its own absence for the workers'
// silence. What they said meanwhile it hears, and their beats from then on
// (F31).
func TestStoppedMasterHearsOnAgain(t *testing.T) {
	t.Parallel()
	s := start(t, `
workers = 2
timeout = "500ms"
heartbeat_timeout = "1s"
[watch]
grace = "60s"
[[watch.route]]
path = "/wait/"
timeout = "0s"
`+unhurried+app())
	workers := pids(s.waitWorkers(2))
	s.beaten(workers)
	stopped(t, s.pid)
	t.Cleanup(func() { s.signal(syscall.SIGCONT) })
	if got := s.talk("GET", "/late"); got.status() != "504" {
		t.Errorf("without a master the client got %s", got)
	}
	if got := s.talk("GET", "/wait/?for=2100ms"); got.status() != "200" { // twice heartbeat_timeout
		t.Errorf("the client got %s", got)
	}
	s.signal(syscall.SIGCONT)
	if in := s.incident("/late", "recovered"); in.Status != 504 || !strings.Contains(in.Stack, "main.late") {
		// The handler may have returned before its stack was taken.
		if in.Status != 504 || in.Stack != "" {
			t.Errorf("the incident is %+v", in)
		}
	}
	answered := s.later("GET", "/wait/?for=1500ms")
	s.inFlight(1)
	if got := <-answered; got.status() != "200" {
		t.Errorf("the client got %s", got)
	}
	s.inFlight(0)
	s.noneReplaced(workers)
	if n := s.log.count("worker aborted"); n != 0 {
		t.Errorf("%d workers were aborted", n)
	}
}

// The pipe is full while the master is stopped: the worker goes on, and what it
// has to say about incidents is there when the master is back (F29).
func TestFullPipeKeepsIncidents(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"200ms\"\nheartbeat_timeout = \"1s\"\n[watch]\ngrace = \"60s\"\n"+unhurried+app())
	workers := pids(s.waitWorkers(1))
	s.beaten(workers)
	stopped(t, s.pid)
	t.Cleanup(func() { s.signal(syscall.SIGCONT) })
	s.get("/pipe?n=5000&text=%7B%22type%22%3A%22beat%22%7D%0A") // 64 KiB and more; what has no room is dropped
	for range 3 {
		if got := s.talk("GET", "/stuck?how=block"); got.status() != "504" || got.took > 10*time.Second {
			t.Errorf("with a full pipe the client got %s", got)
		}
	}
	s.get("/pid")
	s.signal(syscall.SIGCONT)
	s.stuckIn(3)
	eventually(t, "the incidents have come", func() bool { return len(s.incidents()) == 3 })
	s.noneReplaced(workers)
}

// The stacks that an aborted worker prints are in a log that is not for
// everybody, and there is no core file (S33).
func TestAbortLeavesNoCore(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	file := filepath.Join(dir, "app.log")
	s := launchThrough(t, fmt.Sprintf("workers = 1\nheartbeat_timeout = \"500ms\"\nworking_path = %q\nlog_file = %q\n", dir, file)+app(),
		inShell(`ulimit -S -c unlimited; umask 000; exec "$@"`)...)
	s.unclean = true
	s.waitReady()
	workers := pids(s.waitWorkers(1))
	s.beaten(workers)
	stopped(t, workers[1])
	s.log.wait(t, "msg=\"worker aborted\"", s.exited)
	kill(t, workers[1], syscall.SIGCONT) // so that it can print before it is killed
	s.replaced(1, workers[1])
	waitText(t, file, "SIGABRT: abort")
	eventually(t, "its goroutines are in the log", func() bool { return strings.Contains(readAll(t, file), "\ngoroutine ") })
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the log is %v, %v", info.Mode(), err)
	}
	s.log.wait(t, "cause=silent", s.exited)
	if n := s.log.count("worker killed"); n != 0 {
		t.Error("it was killed although it could end by itself")
	}
	for _, where := range []string{dir, s.dir} {
		if found, _ := filepath.Glob(filepath.Join(where, "*core*")); len(found) > 0 {
			t.Errorf("core files: %v", found)
		}
	}
}

// A machine with more to do than it can is no reason to kill anyone (F10, F85).
func TestBusyMachine(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 4\ntimeout = \"20s\"\nheartbeat_timeout = \"3s\"\n"+app())
	workers := pids(s.waitWorkers(4))
	s.beaten(workers)
	var busy []<-chan exchange
	for range 4 {
		busy = append(busy, s.later("GET", "/busy?for=3s"))
	}
	s.inFlight(4)
	for i := range 20 {
		if got := s.talk("GET", "/pid"); got.status() != "200" {
			t.Errorf("request %d: %s", i, got)
		}
	}
	for _, b := range busy {
		if got := <-b; got.status() != "200" {
			t.Errorf("a busy one: %s", got)
		}
	}
	s.peaceful(workers)
}
