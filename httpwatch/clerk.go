package httpwatch

import (
	"runtime/pprof"
	"sync"
	"time"
)

const (
	dumpPause  = time.Second // between two goroutine profiles
	paperLimit = 4096        // incidents that may wait to be reported; more are only counted
)

// clerk reports incidents in order, from a goroutine that runs while there are
// any. Profiles are taken at most once a second (dumpPause), one for all that wait; in a
// storm the stack of an incident is then up to a second older than its answer.
type clerk struct {
	watch *Watch
	pause time.Duration // between two profiles at least; constant

	mu     sync.Mutex // guards all below
	papers []paper
	busy   bool
	dumped time.Time // when the last profile was taken
	dumps  int
	lastID uint64
}

// paper is one thing to report.
type paper struct {
	incident  Incident
	request   *request // nil when its handler has returned, or if this is a recovery
	recovered uint64   // an incident's id; 0 = this is the incident
}

// overdue reports an incident. Its handler may have returned in the meantime:
// then the recovery has waited for this.
func (c *clerk) overdue(r *request, in Incident) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watch.opt.Overdue == nil || len(c.papers) >= paperLimit {
		return
	}
	c.lastID++
	r.id, in.ID = c.lastID, c.lastID
	c.fileLocked(paper{incident: in, request: r})
	if r.returnedEarly {
		c.recoveredLocked(r)
	}
}

// recovered reports that the handler of an overdue request has returned, after
// the incident itself.
func (c *clerk) recovered(r *request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.returnedEarly = true
	c.recoveredLocked(r)
}

func (c *clerk) recoveredLocked(r *request) {
	if r.id != 0 && c.watch.opt.Recovered != nil {
		c.fileLocked(paper{recovered: r.id})
	}
}

func (c *clerk) fileLocked(p paper) {
	c.papers = append(c.papers, p)
	if !c.busy {
		c.busy = true
		go c.work()
	}
}

// work reports until nothing is left.
func (c *clerk) work() {
	pprof.SetGoroutineLabels(background) // it may have been started by a handler's
	for {
		papers, last := c.take()
		if len(papers) == 0 {
			return
		}
		c.report(papers, last)
	}
}

func (c *clerk) take() ([]paper, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	papers := c.papers
	c.papers = nil
	c.busy = len(papers) > 0
	return papers, c.dumped
}

func (c *clerk) report(papers []paper, last time.Time) {
	byName := c.dump(papers, last)
	opt := c.watch.opt
	for _, p := range papers {
		if p.recovered != 0 {
			opt.Recovered(p.recovered)
			continue
		}
		if p.request != nil {
			p.incident.Stack = byName[p.request.seat.name]
		}
		opt.Overdue(p.incident)
	}
}

// dump takes a profile if one is wanted and may be taken by now.
func (c *clerk) dump(papers []paper, last time.Time) map[string]string {
	wanted := false
	for _, p := range papers {
		wanted = wanted || p.request != nil && c.watch.table.sits(p.request)
	}
	if !wanted {
		return nil
	}
	if pause := c.pause - time.Since(last); pause > 0 && !last.IsZero() {
		time.Sleep(pause)
	}
	byName := stacks()
	for i, p := range papers {
		if p.request != nil && !c.watch.table.sits(p.request) {
			papers[i].request = nil // the seat may be another's by now
		}
	}
	c.mu.Lock()
	c.dumped = time.Now()
	c.dumps++
	c.mu.Unlock()
	return byName
}

// sits says whether r is still in flight.
func (t *table) sits(r *request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return r.inTable
}
