package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// reached collects which workers answer, until all of want have.
func (s *server) reach(want map[int]int) {
	s.t.Helper()
	missing := map[string]bool{}
	for _, pid := range want {
		missing[strconv.Itoa(pid)] = true
	}
	var mu sync.Mutex
	eventually(s.t, "each worker is reached", func() bool {
		// Several at once: a single client tends to meet the same worker again.
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				pid, err := s.tryGet("/pid")
				if err != nil {
					s.t.Error(err)
				}
				mu.Lock()
				delete(missing, pid)
				mu.Unlock()
			})
		}
		wg.Wait()
		return len(missing) == 0
	})
}

func TestEachWorkerIsReached(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 4\n"+app())
	s.reach(pids(s.waitWorkers(4)))
}

// A killed worker is back in under a second, its neighbours are not touched, and
// requests that run in them are answered (F1, F2).
func TestKilledWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 4\n"+app())
	before := pids(s.waitWorkers(4))
	victim, answers := s.occupy(8, "1500ms")
	began := time.Now()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the victim is replaced", func() bool {
		now := pids(s.status())
		for _, pid := range now {
			if pid == victim {
				return false
			}
		}
		return len(now) == 4
	})
	if took := time.Since(began); took > time.Second && !raceEnabled {
		t.Errorf("four workers were ready again after %s", took)
	}
	after := pids(s.status())
	for slot, pid := range before {
		if pid != victim && after[slot] != pid {
			t.Errorf("slot %d went from %d to %d", slot, pid, after[slot])
		}
	}
	for range 8 {
		if a := <-answers; a.err != nil && a.pid != victim {
			t.Errorf("a request in another worker: %v", a.err)
		}
	}
	if got := s.status().Counters.Exits["crash"]; got != 1 {
		t.Errorf("%d crashes counted", got)
	}
	s.log.wait(t, "cause=crash", s.exited)
}

type answer struct {
	pid int // of the worker, as far as it is known
	err error
}

// occupy starts n slow requests and returns the pid of one worker that has some,
// and the channel on which their answers come. Which worker a request is in
// shows in status; the requests that fail must be the victim's.
func (s *server) occupy(n int, d string) (victim int, answers <-chan answer) {
	s.t.Helper()
	out := make(chan answer, n)
	for range n {
		go func() {
			text, err := s.tryGet("/slow?for=" + d)
			pid, _ := strconv.Atoi(text)
			out <- answer{pid, err}
		}()
	}
	perWorker := map[int]int64{}
	eventually(s.t, "the requests run", func() bool {
		sum := int64(0)
		for _, w := range s.status().Workers {
			perWorker[w.PID] = w.InFlight
			sum += w.InFlight
		}
		return sum == int64(n)
	})
	for pid, k := range perWorker {
		if k > 0 && k < int64(n) {
			victim = pid
		}
	}
	if victim == 0 { // all in one worker: take another one, which has none
		for pid, k := range perWorker {
			if k == 0 {
				victim = pid
			}
		}
	}
	counted := make(chan answer, n)
	lost := perWorker[victim]
	go func() {
		for range n {
			a := <-out
			if a.err != nil && lost > 0 {
				lost--
				a.pid = victim // exactly as many as it had may be lost
			}
			counted <- a
		}
	}()
	return victim, counted
}

func TestSignalsScale(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\n"+app())
	s.waitWorkers(2)
	for i := range 6 {
		s.signal(syscall.SIGTTIN)
		s.log.waitN(t, "name=TTIN", i+1, s.exited)
	}
	s.waitWorkers(8)
	s.signal(syscall.SIGTTOU)
	st := s.waitWorkers(7)
	for _, w := range st.Workers {
		if w.ID > 7 {
			t.Errorf("worker %d stayed, the highest slot must leave", w.ID)
		}
	}
	s.signal(syscall.SIGWINCH)
	s.waitWorkers(0)
	s.signal(syscall.SIGTTIN)
	s.waitWorkers(1)
	s.get("/pid")
	s.signal(syscall.SIGTTOU)
	s.log.wait(t, "one worker is the fewest", s.exited)
	s.waitWorkers(1)
}

func TestScaleIsExact(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\n"+app())
	for _, c := range []struct {
		body string
		code int
		want int
	}{
		{`{"by":6}`, 200, 8},
		{`{"workers":2}`, 200, 2},
		{`{"by":-1}`, 200, 1},
		{`{"by":-5}`, 409, 1},
		{`{"workers":0}`, 200, 0},
		{`{"workers":3}`, 200, 3},
		{`{"workers":100000}`, 409, 3},
	} {
		if code, text := s.post("/scale", c.body); code != c.code && !(c.code == 409 && code >= 400 && code < 500) {
			t.Errorf("%s: %d %s", c.body, code, text)
		}
		if got := s.status().WorkersWanted; got != c.want {
			t.Errorf("after %s %d are wanted, not %d", c.body, got, c.want)
		}
	}
	s.waitWorkers(3)
}

// TERM while requests run: all are answered, the exit status is 0, the pid file
// and the Unix socket are gone.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	sock, pid := filepath.Join(dir, "app.sock"), filepath.Join(dir, "app.pid")
	s := start(t, fmt.Sprintf("workers = 3\nmaster_pid_path = %q\n[[listener]]\naddress = \"unix:%s\"\n", pid, sock)+app())
	if text, err := os.ReadFile(pid); err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(s.pid) {
		t.Errorf("pid file: %q, %v", text, err)
	}
	_, answers := s.occupy(12, "1s")
	s.signal(syscall.SIGTERM)
	for range 12 {
		if a := <-answers; a.err != nil {
			t.Errorf("a request was lost: %v", a.err)
		}
	}
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for _, path := range []string{sock, pid, s.controlPath()} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s is still there (%v)", path, err)
		}
	}
}

// The second TERM does not wait for anyone (F54).
func TestSecondTermIsQuick(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\n"+app())
	_, answers := s.occupy(2, "60s")
	began := time.Now()
	s.signal(syscall.SIGTERM)
	s.log.wait(t, "name=TERM", s.exited)
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if took := time.Since(began); took > 9*time.Second {
		t.Errorf("the quick stop took %s", took)
	}
	<-answers
	<-answers
}

// A signal sent to a worker itself: QUIT drains it, KILL ends it; both are replaced (F56).
func TestWorkerThatQuitsIsReplaced(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\n"+app())
	first := pids(s.waitWorkers(2))[1]
	if err := syscall.Kill(first, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "slot 1 has another process and the old one is gone", func() bool {
		st := s.status()
		return len(st.Workers) == 2 && len(pids(st)) == 2 && pids(st)[1] != first
	})
	if n := s.status().Counters.Exits["crash"]; n != 0 {
		t.Errorf("a drain that was asked for counts as %d crashes", n)
	}
}

// The master is killed: idle workers are gone within a second, a busy one
// answers first, and the port is free for the next (F33, F34).
func TestWorkersLeaveWhenTheMasterIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 4\n"+app())
	s.unclean = true
	workers := pids(s.waitWorkers(4))
	answered := make(chan answer, 1)
	go func() {
		text, err := s.tryGet("/slow?for=2500ms")
		pid, _ := strconv.Atoi(text)
		answered <- answer{pid, err}
	}()
	busy := 0
	eventually(t, "one worker is busy", func() bool {
		for _, w := range s.status().Workers {
			if w.InFlight == 1 {
				busy = w.PID
			}
		}
		return busy != 0
	})
	killed := time.Now()
	s.signal(syscall.SIGKILL)
	for _, pid := range workers {
		if pid != busy {
			eventually(t, "an idle worker is gone", func() bool { return !alive(pid) })
		}
	}
	if took := time.Since(killed); took > time.Second && !raceEnabled {
		t.Errorf("idle workers left after %s", took)
	}
	if a := <-answered; a.err != nil || a.pid != busy {
		t.Errorf("the busy worker's client got %+v", a)
	}
	eventually(t, "the busy worker is gone", func() bool { return !alive(busy) })
}

// After many deaths the master holds what it held before, and a worker has only
// what it needs (S7).
func TestDescriptorsDoNotLeak(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 4\n"+app())
	s.waitWorkers(4)
	s.get("/pid")
	before := s.descriptors()
	const deaths = 40
	for i := range deaths {
		st := s.waitWorkers(4)
		if err := syscall.Kill(st.Workers[i%4].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the death is counted", func() bool { return s.status().Counters.Exits["crash"] == uint64(i+1) })
	}
	s.waitWorkers(4)
	eventually(t, fmt.Sprintf("the master has its %d descriptors again", before), func() bool { return s.descriptors() <= before })
}

func (s *server) descriptors() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(list)
}

// A worker's descendants do not outlive it (F14), nor do they keep it from
// being seen dead.
func TestGrandchildrenDieWithTheWorker(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\n"+app())
	worker := pids(s.waitWorkers(1))[1]
	child, err := strconv.Atoi(s.get("/child"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the worker's child is gone", func() bool { return !alive(child) })
	eventually(t, "the worker is replaced", func() bool { p := pids(s.status()); return p[1] != 0 && p[1] != worker })
}

// A worker that is deaf to every polite signal is killed at the limit (F13).
func TestDeafWorkerIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\nworker_kill_timeout = \"500ms\"\n[app]\n"+fmt.Sprintf("command = [%q]\nready = \"300ms\"\n", programs.app)+
		"env = { BOOT = \"deaf\" }\n")
	s.log.wait(t, "testapp: deaf", s.exited)
	s.unclean = true
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	s.log.wait(t, "worker killed", s.exited)
}

// How a worker ended is told apart (F6).
func TestEndsAreTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, want string }{
		{"/crash?how=exit&code=0", "exited with status 0"},
		{"/crash?how=exit&code=3", "exited with status 3"},
		{"/crash", "exited with status 2"},
		{"/crash?how=abort", "exited with status 2"},
	} {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			s := start(t, "workers = 1\n"+app())
			s.unclean = true // the app's own panic is in the log
			if _, err := s.tryGet(c.path); err == nil {
				t.Error("the request that crashed the worker was answered")
			}
			s.log.wait(t, c.want, s.exited)
			s.waitWorkers(1)
		})
	}
}

// Connections that wait while there is no worker are served by the next one (F5).
func TestTheQueueSurvivesWorkers(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\n"+app())
	s.post("/scale", `{"workers":0}`)
	s.waitWorkers(0)
	codes := make(chan error, 10)
	for range 10 {
		go func() { _, err := s.tryGet("/pid"); codes <- err }()
	}
	eventually(t, "the connections wait in the queue", func() bool { return s.status().Listeners[0].Queue == 10 })
	s.post("/scale", `{"workers":2}`)
	for range 10 {
		if err := <-codes; err != nil {
			t.Error(err)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\n"+app())
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/nothing": http.StatusNotFound} {
		resp, err := s.controlClient().Get("http://control" + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}
