package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stuckEach gives a server in which each of the two workers holds requests that
// were answered long ago and never return.
func stuckEach(t *testing.T, more string) (s *server, workers map[int]int) {
	t.Helper()
	s = start(t, "workers = 2\ntimeout = \"150ms\"\nworker_kill_timeout = \"60s\"\n[watch]\ngrace = \"60s\"\n"+
		unhurried+app()+more)
	workers = pids(s.waitWorkers(2))
	eventually(t, "both workers have one", func() bool {
		if got := s.talk("GET", "/stuck?how=block"); got.status() != "504" {
			t.Errorf("the client got %s", got)
		}
		st := s.status()
		return st.Workers[0].Stuck > 0 && st.Workers[1].Stuck > 0
	})
	return s, workers
}

// A stop waits for nobody whose client has been answered; it does for others.
func TestStopWithStuckRequests(t *testing.T) {
	t.Parallel()
	s, _ := stuckEach(t, "")
	began := time.Now()
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if n := s.log.count("worker killed"); n != 0 {
		t.Errorf("%d workers did not leave by themselves", n)
	}
}

func TestStopWithStuckRequestsAndOthers(t *testing.T) {
	t.Parallel()
	s, _ := stuckEach(t, "[http]\nlinger = \"60s\"\n")
	other := s.later("GET", "/slow?for=1500ms")
	eventually(t, "it runs", func() bool {
		for _, w := range s.status().Workers {
			if w.InFlight > w.Stuck {
				return true
			}
		}
		return false
	})
	s.signal(syscall.SIGTERM)
	if got := <-other; got.status() != "200" || got.err != nil {
		t.Errorf("the healthy request got %s", got)
	}
	answered := time.Now()
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if took := time.Since(answered); took > 10*time.Second {
		t.Errorf("with only stuck requests left it took %s", took)
	}
}

// A worker that is told to leave itself does so at once, and is replaced.
func TestWorkerQuitsWithStuckRequests(t *testing.T) {
	t.Parallel()
	s, workers := stuckEach(t, "")
	began := time.Now()
	kill(t, workers[1], syscall.SIGQUIT)
	s.replaced(1, workers[1])
	eventually(t, "the old one is gone", func() bool { return !alive(workers[1]) })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it left after %s", took)
	}
	s.untouched(2, workers[2])
	if st := s.status(); st.Counters.Exits["stop"] != 1 || st.Counters.Exits["crash"] != 0 || st.Counters.Spawned != 3 {
		t.Errorf("counted %+v", st.Counters)
	}
	if in := s.incident("/stuck", "killed"); in.PID != workers[1] {
		t.Errorf("the incident is %+v", in)
	}
}

// A healthy neighbour may hold up the old worker for worker_kill_timeout, no longer.
func TestNeighbourHoldsUpTheDrain(t *testing.T) {
	t.Parallel()
	s := start(t, `
workers = 1
timeout = "150ms"
worker_kill_timeout = "700ms"
[watch]
grace = "100ms"
`+unhurried+app())
	s.unclean = true // the worker says itself that its limit is reached
	old := pids(s.waitWorkers(1))[1]
	neighbour := s.later("GET", "/slow?for=60s")
	s.inFlight(1)
	s.talk("GET", "/stuck?how=block")
	s.replaced(1, old)
	if got := <-neighbour; strings.Contains(got.bytes, fmt.Sprintf("\r\n\r\n%d", old)) || got.took > 20*time.Second {
		t.Errorf("the neighbour got %s", got)
	}
	eventually(t, "the old one is gone", func() bool { return !alive(old) })
	s.incident("/stuck", "killed")
}
