package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Killed before it was ready: that slot pauses, the other is not touched (F3).
func TestKilledWhileStarting(t *testing.T) {
	t.Parallel()
	flag := filepath.Join(folder(t), "broken")
	s := start(t, "workers = 2\n"+booting("hang", flag))
	workers := pids(s.waitWorkers(2))
	put(t, flag, "")
	kill(t, workers[1], syscall.SIGKILL) // ready for long: replaced without a pause
	kill(t, s.starting(1), syscall.SIGKILL)
	s.waitPauses(1, "1s")
	kill(t, s.starting(1), syscall.SIGKILL)
	s.waitPauses(1, "1s", "2s")
	s.untouched(2, workers[2])
	s.healthy()
	if st := s.status(); st.Counters.Exits["boot"] != 2 || st.Counters.Exits["crash"] != 1 {
		t.Errorf("counted %+v", st.Counters)
	}
}

// Killed while it drains: that ends the drain, and nobody comes in its place (F4).
func TestKilledWhileDraining(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\n"+app())
	workers := pids(s.waitWorkers(2))
	answer := s.keepBusy(2)
	s.post("/scale", `{"workers":1}`)
	eventually(t, "worker 2 drains", func() bool { return s.phase(2) == "draining" })
	kill(t, workers[2], syscall.SIGKILL)
	s.waitWorkers(1)
	if err := <-answer; err == nil {
		t.Error("the request in the killed worker was answered")
	}
	if st := s.status(); st.Counters.Spawned != 2 || st.Counters.Exits["scale"] != 1 || st.Counters.Exits["crash"] != 0 {
		t.Errorf("counted %+v", st.Counters)
	}
	s.untouched(1, workers[1])
	s.post("/stop", `{"quick":true}`) // slot 1 may be busy, too
	s.ends(0)
}

// keepBusy sends requests until one that takes a minute runs in slot, and returns
// how it ends.
func (s *server) keepBusy(slot int) <-chan error {
	s.t.Helper()
	answers := make(chan error, 64)
	busy := func() bool {
		for _, w := range s.status().Workers {
			if w.ID == slot && w.InFlight > 0 {
				return true
			}
		}
		return false
	}
	for n := 0; !busy(); n++ {
		if n == cap(answers) {
			s.t.Fatalf("of %d requests none came to worker %d", n, slot)
		}
		go func() { _, err := s.tryGet("/slow?for=60s"); answers <- err }()
		eventually(s.t, "the request runs", func() bool {
			sum := int64(0)
			for _, w := range s.status().Workers {
				sum += w.InFlight
			}
			return sum == int64(n+1)
		})
	}
	return answers
}

func (s *server) phase(slot int) string {
	for _, w := range s.status().Workers {
		if w.ID == slot {
			return w.State
		}
	}
	return ""
}

// A worker that is told to leave and does not is killed at worker_kill_timeout,
// and its children with it (F13).
func TestDeafWorkerIsKilledWithItsGroup(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\nworker_kill_timeout = \"500ms\"\n"+
		foreign("trap '' TERM QUIT INT ABRT; sleep 600 & echo child $!; wait; exec sleep 600", "300ms"))
	s.waitWorkers(2)
	s.log.waitN(t, "child ", 2, s.exited)
	s.post("/scale", `{"workers":1}`)
	s.log.wait(t, "cause=scale why=\"fewer workers are wished for; still there ", s.exited)
	s.waitWorkers(1)
	s.signal(syscall.SIGTERM)
	s.ends(0)
	for _, line := range strings.Split(s.log.String(), "\n") {
		if pid, is := strings.CutPrefix(line, "child "); is {
			child, _ := strconv.Atoi(pid)
			eventually(t, "the child is gone", func() bool { return !alive(child) })
		}
	}
}

// Somebody else's SIGKILL is told as such (F16).
func TestKillFromOutsideIsTold(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\n"+app())
	victim := pids(s.waitWorkers(1))[1]
	kill(t, victim, syscall.SIGKILL)
	s.log.wait(t, fmt.Sprintf("msg=\"worker gone\" worker=1 pid=%d cause=crash why=\"killed from outside (SIGKILL), perhaps by the kernel for want of memory\"", victim), s.exited)
	s.replaced(1, victim)
}

// The kernel ends a worker that takes all memory: the others serve on, and it is
// replaced (F16).
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\n"+app())
	workers := pids(s.waitWorkers(2))
	for _, pid := range workers { // whoever gets the request
		memoryCgroup(t, pid, 64<<20)
	}
	if err := <-s.ask("/hog"); err == nil {
		t.Error("the request was answered")
	}
	s.log.wait(t, "perhaps by the kernel for want of memory", s.exited)
	st := s.waitWorkers(2)
	same := 0
	for slot, pid := range pids(st) {
		if workers[slot] == pid {
			same++
		}
	}
	if same != 1 {
		t.Errorf("%d of 2 workers were not touched", same)
	}
	if st.Counters.Exits["crash"] != 1 {
		t.Errorf("counted %+v", st.Counters)
	}
}

// memoryCgroup puts a process into a group of its own with a limit.
func memoryCgroup(t testing.TB, pid int, limit int) {
	t.Helper()
	dir := fmt.Sprintf("/sys/fs/cgroup/memory/fugue-test-%d", pid)
	file := "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		dir, file = fmt.Sprintf("/sys/fs/cgroup/fugue-test-%d", pid), "memory.max"
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("needs a memory cgroup that may be written: %v", err)
	}
	t.Cleanup(func() {
		_ = os.WriteFile(filepath.Join(filepath.Dir(dir), "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644) // if it lives
		eventually(t, "the cgroup can be removed", func() bool { return os.Remove(dir) == nil })
	})
	for _, f := range []struct{ name, text string }{{file, strconv.Itoa(limit)}, {"cgroup.procs", strconv.Itoa(pid)}} {
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(f.text), 0o644); err != nil {
			t.Skipf("needs a memory cgroup that may be written: %v", err)
		}
	}
}
