package pool

import (
	"fmt"
	"time"
)

// worn says that w has answered all the requests it was meant for.
func (w *worker) worn() bool {
	most := w.limits.MaxRequests
	return most > 0 && w.phase == Ready && !w.condemned && w.beat.Requests >= most+w.jitter()
}

// jitter keeps workers that were started together from leaving together. It is
// drawn from the pid, so that a replay draws the same.
func (w *worker) jitter() uint64 {
	if w.limits.Jitter == 0 {
		return 0
	}
	x := uint64(w.pid) * 0x9e3779b97f4a7c15 // Fibonacci hashing: neighbours end up far apart
	return (x >> 32) % (w.limits.Jitter + 1)
}

// old counts from when w was ready: one that starts slowly would be too old before
// it has served anybody.
func (w *worker) old(now time.Duration) bool {
	return w.limits.MaxAge > 0 && w.phase == Ready && !w.condemned && now >= w.since+w.limits.MaxAge
}

// recycleOld condemns who has lived long enough. During a reload nobody is too old:
// it replaces them anyway, and those that are new already must not keep it from
// getting to the others.
func (p *Pool) recycleOld(now time.Duration) {
	if p.roll != nil {
		return
	}
	for _, w := range p.workers {
		if w.old(now) {
			p.condemn(w, Age, fmt.Sprintf("older than %s", w.limits.MaxAge))
		}
	}
}

// onMeasured replaces a worker that has grown too large, before the kernel has to
// choose whom to end.
func (p *Pool) onMeasured(ev Event) {
	w := p.byPID[ev.PID]
	if w == nil || w.phase != Ready || w.limits.MaxMemory == 0 || int64(ev.N) <= w.limits.MaxMemory {
		return
	}
	p.condemn(w, Memory, fmt.Sprintf("it has %d MiB of memory", ev.N>>20))
}
