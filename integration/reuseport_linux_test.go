package integration

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// grouped is a second listener, in which each worker has a socket of its own.
const grouped = "[[listener]]\naddress = \"127.0.0.1:0\"\nreuseport = true\n"

// startGroup starts workers that are reached by that listener. They are not killed for
// their silence.
func startGroup(t testing.TB, workers int) *server {
	t.Helper()
	s := start(t, fmt.Sprintf("workers = %d\nheartbeat_timeout = \"0s\"\n", workers)+grouped+app())
	return s.ofGroup()
}

func deployGroup(t testing.TB, workers int) *deployment {
	t.Helper()
	d := deploy(t, fmt.Sprintf("workers = %d\n", workers), grouped)
	d.server = d.ofGroup()
	return d
}

func (s *server) ofGroup() *server {
	s.t.Helper()
	s.address = s.status().Listeners[1].Address
	return s
}

// queued sends n requests, each on a connection of its own that is there when this
// returns.
func (s *server) queued(n int) (answers []<-chan exchange) {
	s.t.Helper()
	for range n {
		c, done := s.dial(), make(chan exchange, 1)
		go func() {
			defer c.Close()
			done <- talkOver(c, "GET /pid HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		}()
		answers = append(answers, done)
	}
	return answers
}

// allAnswered returns how many answers came from whom, and the longest wait.
func (s *server) allAnswered(answers []<-chan exchange) (by map[string]int, longest time.Duration) {
	s.t.Helper()
	by = map[string]int{}
	for i, a := range answers {
		got := <-a
		if got.status() != "200" {
			s.t.Errorf("request %d of %d: %s", i+1, len(answers), got)
		}
		by[got.bytes[strings.LastIndex(got.bytes, "\n")+1:]]++
		longest = max(longest, got.took)
	}
	return by, longest
}

// stop stops workers, and returns when no thread of theirs will accept any more.
func stop(t testing.TB, workers ...int) {
	t.Helper()
	for _, pid := range workers {
		kill(t, pid, syscall.SIGSTOP)
	}
	for _, pid := range workers {
		eventually(t, "all threads stand still", func() bool {
			tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
			return err == nil && len(tasks) > 0 && !slices.ContainsFunc(tasks, func(path string) bool {
				text, err := os.ReadFile(path)
				_, state, _ := strings.Cut(string(text), ") ")
				return err == nil && !strings.HasPrefix(state, "T ")
			})
		})
	}
}

// signalAll signals all workers.
func signalAll(t testing.TB, workers map[int]int, sig syscall.Signal) {
	t.Helper()
	for _, pid := range workers {
		kill(t, pid, sig)
	}
}

// The kernel shares connections out evenly, by a hash.
func TestReuseportSharesOut(t *testing.T) {
	t.Parallel()
	s := startGroup(t, 3)
	workers := pids(s.waitWorkers(3))
	for range 4 {
		by, _ := s.allAnswered(s.queued(60))
		for slot, pid := range workers {
			if by[fmt.Sprint(pid)] == 0 {
				t.Errorf("worker %d has none of 60: %v", slot, by)
			}
		}
	}
	if n := s.log.count("level=WARN"); n > 0 {
		t.Error("there are warnings")
	}
}

// What waits at the socket of a worker that dies is there for its successor, and for
// the neighbours if there are any.
func TestReuseportKeepsTheQueueOfADeadWorker(t *testing.T) {
	t.Parallel()
	for name, frozen := range map[string]int{"all die": 3, "one dies": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startGroup(t, 3)
			workers := pids(s.waitWorkers(3))
			for slot := frozen + 1; slot <= 3; slot++ {
				delete(workers, slot)
			}
			stop(t, slices.Collect(maps.Values(workers))...)
			answers := s.queued(60)
			signalAll(t, workers, syscall.SIGKILL)
			s.allAnswered(answers)
			s.waitWorkers(3)
		})
	}
}

// A worker that is stopped does not keep its part of the connections: its neighbours
// serve them.
func TestReuseportNeighboursServeForAStoppedWorker(t *testing.T) {
	t.Parallel()
	s := startGroup(t, 3)
	workers := pids(s.waitWorkers(3))
	stop(t, workers[2])
	by, first := s.allAnswered(s.queued(30))
	again, second := s.allAnswered(s.queued(300))
	t.Logf("30 at once were answered within %s, 300 more within %s, by %v and %v", first, second, by, again)
	if by[fmt.Sprint(workers[2])]+again[fmt.Sprint(workers[2])] > 0 {
		t.Error("the stopped one has answered")
	}
	kill(t, workers[2], syscall.SIGCONT)
	eventually(t, "it serves again", func() bool { return s.get("/pid") == fmt.Sprint(workers[2]) })
	s.untouched(2, workers[2])
}

// Workers come and go by wish, and by the file, and with a new master: nothing is lost.
func TestReuseportWhileWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	d := deployGroup(t, 2)
	tr := d.load(24, d.address)
	tr.more(50)
	for _, n := range []int{4, 1, 3} {
		d.post("/scale", fmt.Sprintf(`{"workers":%d}`, n))
		d.waitWorkers(n)
		tr.more(50)
	}
	d.edit("workers = 2", "workers = 5")
	d.ok("reload", d.hup)
	d.settled(5)
	tr.more(50)
	d.put(d.master, d.masters[1])
	d.put(d.app, d.apps[1])
	d.ok("upgrade", d.usr2)
	d.upgraded(1)
	d.settled(5)
	tr.more(50)
	d.edit("workers = 5", "workers = 2")
	d.ok("reload", d.hup)
	d.settled(2)
	tr.more(50)
	d.post("/scale", `{"workers":6}`)
	d.waitWorkers(6)
	tr.more(50)
	tr.endWhole()
	workers := pids(d.waitWorkers(6))
	seen := map[string]bool{}
	eventually(t, "each worker answers", func() bool { seen[d.get("/pid")] = true; return len(seen) == len(workers) })
}

// On a full stop the last workers serve what waits at all sockets, also those of slots
// that have no worker any more.
func TestReuseportFullStop(t *testing.T) {
	t.Parallel()
	s := startGroup(t, 4)
	s.waitWorkers(4)
	s.post("/scale", `{"workers":2}`) // two sockets are left without a worker
	workers := pids(s.waitWorkers(2))
	stop(t, slices.Collect(maps.Values(workers))...)
	answers := s.queued(60)
	s.signal(syscall.SIGQUIT)
	s.log.wait(t, "msg=signal name=QUIT", s.exited)
	signalAll(t, workers, syscall.SIGCONT)
	s.allAnswered(answers)
	s.ends(0)
}

// A reload that takes the address away lets in first who waits there, at all sockets.
func TestReuseportAddressThatIsTakenAway(t *testing.T) {
	t.Parallel()
	d := deployGroup(t, 3)
	d.post("/scale", `{"workers":1}`)
	worker := pids(d.waitWorkers(1))[1]
	stop(t, worker)
	answers := d.queued(60)
	d.edit(grouped, "")
	d.hup()
	d.log.wait(t, "no longer listening", d.exited)
	kill(t, worker, syscall.SIGCONT)
	d.allAnswered(answers)
	d.settled(1)
	if c, err := net.Dial("tcp", d.address); err == nil {
		c.Close()
		t.Error("somebody listens there still")
	}
}

// With no worker at all connections wait, at all sockets.
func TestReuseportWithoutWorkers(t *testing.T) {
	t.Parallel()
	s := startGroup(t, 3)
	s.waitWorkers(3)
	s.post("/scale", `{"workers":0}`)
	s.waitWorkers(0)
	answers := s.queued(30)
	eventually(t, "the status counts those of all sockets", func() bool {
		l := s.status().Listeners[1]
		return l.Queue == 30 && l.Backlog == 3*1024
	})
	s.post("/scale", `{"workers":1}`)
	by, _ := s.allAnswered(answers)
	if len(by) != 1 {
		t.Errorf("answered by %v", by)
	}
}

// An app that takes no commands cannot serve the sockets of others, so there are not
// to be any.
func TestReuseportWithAForeignApp(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 3\n"+grouped+clientApp(t, "python3", "foreignapp/app.py")).ofGroup()
	workers := pids(s.waitWorkers(3))
	seen := map[string]bool{}
	eventually(t, "each worker answers", func() bool { seen[s.get("/pid")] = true; return len(seen) == 3 })
	if code, text := s.post("/scale", `{"workers":2}`); code == 200 || !strings.Contains(text, "too few for the 3 sockets") {
		t.Errorf("scale: %d %s", code, text)
	}
	s.signal(syscall.SIGTTOU)
	s.log.wait(t, "the number of workers stays", s.exited)
	s.post("/scale", `{"workers":4}`)
	now := pids(s.waitWorkers(4))
	for slot, pid := range workers {
		if now[slot] != pid {
			t.Errorf("worker %d is %d, was %d", slot, now[slot], pid)
		}
	}
	stop(t, now[4])
	answers := s.queued(40)
	kill(t, now[4], syscall.SIGKILL)
	s.allAnswered(answers) // its successor has its socket
	if pids(s.waitWorkers(4))[4] == now[4] {
		t.Error("it was not replaced")
	}
}

// Behind the proxy the workers are native: one that is left serves all sockets, for a
// server that knows nothing of this.
func TestReuseportBehindTheProxy(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 3\n"+grouped+plain(`ON = "socket"`)).ofGroup()
	s.waitWorkers(3)
	s.post("/scale", `{"workers":1}`)
	s.waitWorkers(1)
	if by, _ := s.allAnswered(s.queued(60)); len(by) != 1 {
		t.Errorf("answered by %v", by)
	}
}
