package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// storm is a crowd of clients, each of which sends one request after the other.
type storm struct {
	s    *server
	path string
	over chan struct{}
	all  sync.WaitGroup

	calm                    atomic.Bool // the cause is gone: each request that begins now must be answered 200
	timedOut, served, other atomic.Int64
	longest                 atomic.Int64 // of the 504s, nanoseconds
}

func (s *server) storm(clients int, path string) *storm {
	st := &storm{s: s, path: path, over: make(chan struct{})}
	for range clients {
		st.all.Go(st.client)
	}
	return st
}

func (st *storm) client() {
	for {
		select {
		case <-st.over:
			return
		default:
		}
		st.note(st.calm.Load(), st.s.talk("GET", st.path))
	}
}

func (st *storm) note(calm bool, got exchange) {
	switch {
	case got.err == nil && got.status() == "200":
		st.served.Add(1)
		if calm {
			time.Sleep(20 * time.Millisecond) // a crowd, not a benchmark
		}
	case got.err == nil && got.status() == "504" && strings.HasSuffix(got.bytes, "\r\n\r\n504 Gateway Timeout\n") && !calm:
		st.timedOut.Add(1)
		st.longest.Store(max(st.longest.Load(), int64(got.took)))
	default:
		st.other.Add(1)
		st.s.t.Errorf("calm %v: a client got %s", calm, got)
	}
}

func (st *storm) end() {
	close(st.over)
	st.all.Wait()
}

// Everything is stuck at once, as when a database is away: each client has its
// 504, workers are replaced a few at a time, and all is well soon after (F12).
func TestStorm(t *testing.T) {
	t.Parallel()
	const workers, surge, clients, replaced = 4, 1, 100, 4
	away := filepath.Join(folder(t), "away")
	s := start(t, fmt.Sprintf("workers = %d\nmax_surge = %d\ntimeout = \"500ms\"\n[watch]\ngrace = \"300ms\"\n", workers, surge)+app())
	s.waitWorkers(workers)
	put(t, away, "")
	st := s.storm(clients, "/dependent?on="+away)
	most := 0
	sample := func() {
		now := s.status()
		most = max(most, len(now.Workers))
		if len(now.Workers) > workers+surge {
			t.Errorf("%d processes: %+v", len(now.Workers), now.Workers)
		}
		if n := len(pids(now)); n < workers {
			t.Errorf("only %d are ready: %+v", n, now.Workers)
		}
	}
	eventually(t, "workers are replaced", func() bool {
		sample()
		return s.log.count("cause=timeout why=") >= 2*replaced // each is condemned, and gone
	})
	if err := os.Remove(away); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, "all is well", func() bool {
		sample()
		now := s.status()
		stuck := int64(0)
		for _, w := range now.Workers {
			stuck += w.Stuck
		}
		return len(now.Workers) == workers && len(pids(now)) == workers && stuck == 0
	})
	took := time.Since(began)
	if took > 10*time.Second {
		t.Errorf("it took %s until all was well", took)
	}
	st.calm.Store(true)
	want := st.served.Load() + 5*clients
	eventually(t, "many are served", func() bool { sample(); return st.served.Load() >= want })
	st.end()
	exits := s.status().Counters.Exits
	t.Logf("%d clients: %d had a 504, the slowest after %s, %d a 200; at most %d processes; counted %v; well after %s",
		clients, st.timedOut.Load(), time.Duration(st.longest.Load()).Round(time.Millisecond), st.served.Load(), most, exits, took.Round(time.Millisecond))
	if exits["timeout"] == 0 || exits["crash"]+exits["silent"] > 0 || st.timedOut.Load() < clients {
		t.Errorf("counted %v, %d answers", exits, st.timedOut.Load())
	}
	if n := s.log.count("worker killed"); n != 0 {
		t.Errorf("%d were killed", n)
	}
	if n := len(s.incidents()); n > 100 {
		t.Errorf("%d incidents are kept", n)
	}
}
