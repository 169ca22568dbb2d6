package pool

import (
	"fmt"
	"slices"
	"time"
)

// onOverdue notes a request that has exceeded its limit. Its client has been
// answered; its handler gets the grace to return.
func (p *Pool) onOverdue(now time.Duration, ev Event) {
	w := p.byPID[ev.PID]
	if w == nil || len(w.stuck) >= mostStuck {
		return
	}
	w.heardFrom(now)
	w.stuck = append(w.stuck, stuck{ev.ID, now + p.limits.Grace})
}

// onRecovered forgets a stuck request. A worker that was condemned for it is
// pardoned if that costs nothing: when no successor has been started yet.
func (p *Pool) onRecovered(now time.Duration, ev Event) {
	w := p.byPID[ev.PID]
	if w == nil {
		return
	}
	w.heardFrom(now)
	w.stuck = slices.DeleteFunc(w.stuck, func(s stuck) bool { return s.id == ev.ID })
	if w.condemned && w.phase == Ready && !w.graceOver(now) && !p.filled(w.slot) {
		w.condemned, w.cause, w.why = false, None, ""
		p.do(about(TellPardoned, w))
	}
}

// graceOver says that a request in w has been stuck for too long. The first one
// reported is the first to be due.
func (w *worker) graceOver(now time.Duration) bool {
	return w.phase == Ready && len(w.stuck) > 0 && now >= w.stuck[0].due
}

// condemn decides that w must go, because a stuck handler holds memory, locks
// and connections for ever. It serves on: its neighbours are healthy, and
// capacity must not dip. converge starts the successor and then drains w.
func (p *Pool) condemn(w *worker) {
	if w.condemned {
		return
	}
	w.condemned, w.cause = true, Timeout
	w.why = fmt.Sprintf("request %s is stuck", w.stuck[0].id)
	p.do(about(TellCondemned, w))
}
