package integration

import (
	"maps"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// census looks at the workers again and again.
type census struct {
	s    *server
	over chan struct{}
	all  sync.WaitGroup
	most int // processes at once
	gens []int
	few  int // fewest that were ready
}

// census begins; end it with stop.
func (s *server) census() *census {
	c := &census{s: s, over: make(chan struct{}), few: 1 << 30}
	c.all.Go(func() {
		for {
			select {
			case <-c.over:
				return
			case <-time.After(10 * time.Millisecond):
			}
			if st, err := s.tryStatus(); err == nil {
				c.most = max(c.most, len(st.Workers))
				c.few = min(c.few, len(pids(st)))
				c.gens = append(c.gens, st.Generation)
			}
		}
	})
	return c
}

// stop checks that there were never more than limit processes, nor fewer than
// wished that were ready, and that generations only grew.
func (c *census) stop(limit, wished int) {
	c.s.t.Helper()
	close(c.over)
	c.all.Wait()
	if c.most > limit {
		c.s.t.Errorf("%d worker processes at once, %d are allowed", c.most, limit)
	}
	if c.few < wished {
		c.s.t.Errorf("only %d workers were ready, %d are wished for", c.few, wished)
	}
	if !slices.IsSorted(c.gens) {
		c.s.t.Errorf("generations %v", slices.Compact(c.gens))
	}
	c.s.t.Logf("in %d looks: at most %d processes, at least %d ready", len(c.gens), c.most, c.few)
}

// A hundred HUPs in a second end in one generation; there are never more
// processes than the surplus allows, and never fewer ready than wished (F50).
func TestManyReloads(t *testing.T) {
	t.Parallel()
	const workers, surge = 3, 1
	d := deploy(t, "workers = 3\nmax_surge = 1\n", "")
	first := d.waitWorkers(workers)
	tr, looks := d.load(8), d.census()
	began := time.Now()
	for i := range 100 {
		d.hup()
		time.Sleep(time.Until(began.Add(time.Duration(i+1) * 10 * time.Millisecond))) // the pace is what is tested
	}
	before := d.look().Generation
	st := d.settled(workers)
	if st.Generation == first.Generation || st.LastReload == nil || st.LastReload.Result != "ok" {
		t.Errorf("generation %d, %+v", st.Generation, st.LastReload)
	}
	if st.Generation > before+2 {
		t.Errorf("generation %d after the last HUP, %d when all was quiet: one is queued, not all", before, st.Generation)
	}
	looks.stop(workers+surge, workers)
	tr.endWhole()
	again := d.settled(workers) // nothing is queued any more
	if !maps.Equal(pids(st), pids(again)) {
		t.Errorf("workers %v have become %v", pids(st), pids(again))
	}
}

// A worker of the old generation that dies amid the reload comes back, and the
// reload goes on.
func TestKillsDuringReloads(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 4\nmax_surge = 2\n", "")
	d.noCrash()
	d.waitWorkers(4)
	kills := full(100, 10)
	for i := range kills {
		d.hup()
		st := d.look()
		for k, w := range st.Workers {
			if k == i%len(st.Workers) && alive(w.PID) {
				_ = syscall.Kill(w.PID, syscall.SIGKILL)
			}
		}
	}
	d.settled(4)
	d.ok("reload", d.hup)
	d.settled(4)
	d.get("/pid")
	eventually(t, "no zombie is left", func() bool { all, zombies := d.children(); return all == 4 && zombies == 0 })
}
