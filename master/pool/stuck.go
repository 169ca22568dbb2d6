package pool

import (
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
	w.stuck = append(w.stuck, stuck{ev.ID, now + w.limits.Grace})
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
	if w.condemned && w.cause == Timeout && w.phase == Ready && !w.graceOver(now) && !p.filled(w.slot) {
		w.condemned, w.cause, w.why = false, None, ""
		p.do(about(TellPardoned, w))
	}
}

// graceOver says that a request in w has been stuck for too long: its handler
// holds memory, locks and connections, perhaps for ever. The first one reported
// is the first to be due.
func (w *worker) graceOver(now time.Duration) bool {
	return w.phase == Ready && len(w.stuck) > 0 && now >= w.stuck[0].due
}

// condemn decides that w must go. It serves on, since capacity must not dip:
// converge starts the successor and then drains w.
func (p *Pool) condemn(w *worker, c Cause, why string) {
	if w.condemned {
		return
	}
	w.condemned, w.cause, w.why = true, c, why
	p.do(about(TellCondemned, w))
}
