package pool

import (
	"fmt"
	"time"
)

// converge moves the world one step towards the wish: it empties what is not
// wished for, fills what is, and ends when all are gone after a stop.
func (p *Pool) converge(now time.Duration) {
	if p.stopping && now >= p.leaveAt {
		p.leaving = true
	}
	if p.leaving {
		p.finish(now)
		return
	}
	p.advance(now)
	p.recycleOld(now)
	p.retire(now)
	p.fill(now)
}

// retire sends away those whose slot is no longer wished for, and the condemned
// and the outdated whose successor is ready. That of an outdated one may itself be
// condemned: it stays until the next is ready.
func (p *Pool) retire(now time.Duration) {
	for _, w := range p.workers {
		switch {
		case !w.serves() || w.pid == 0 || p.isCanary(w):
		case w.slot > p.wish:
			p.leave(now, w, Scale, "fewer workers are wished for")
		case w.condemned && p.readyIn(w.slot):
			p.leave(now, w, w.cause, w.why)
		case p.outdated(w) && (w.phase == Starting || p.served(w.slot)):
			p.leave(now, w, Reload, p.whyOutdated(w))
		}
	}
}

// fill starts a worker in each slot that has none, as far as pauses after
// failures and the allowed surplus of processes permit. Those that nobody of this
// generation serves come first: a storm of stuck requests must not keep a reload,
// which may be the cure, from getting on.
func (p *Pool) fill(now time.Duration) {
	p.fillSlots(now, func(n int) bool { return !p.served(n) })
	p.fillSlots(now, p.served)
}

func (p *Pool) fillSlots(now time.Duration, wanted func(slot int) bool) {
	for n, room := 1, p.room(); n <= p.wish && room > 0; n++ {
		if now < p.slot(n).notBefore || p.filled(n) || !wanted(n) {
			continue
		}
		p.spawn(now, n, p.gen, p.limits)
		room--
	}
}

// room is how many processes may be started now.
func (p *Pool) room() int { return p.wish + p.limits.Surge - p.counted() }

func (p *Pool) spawn(now time.Duration, n, gen int, l *Limits) {
	w := &worker{slot: n, gen: gen, limits: l, started: now, heard: now}
	w.enter(Starting, now)
	p.workers = append(p.workers, w)
	p.do(about(Spawn, w))
}

// filled says whether slot n has a worker that serves or is about to, and may stay.
func (p *Pool) filled(n int) bool {
	for _, w := range p.workers {
		if w.slot == n && p.fills(w) {
			return true
		}
	}
	return false
}

// fills says that the slot of w needs nobody else.
func (p *Pool) fills(w *worker) bool { return w.serves() && !w.condemned && p.current(w) }

// counted is the number of processes that the surplus is reckoned from. Those
// that leave because fewer are wished for do not hold up anything.
func (p *Pool) counted() int {
	n := 0
	for _, w := range p.workers {
		if w.cause != Scale {
			n++
		}
	}
	return n
}

// leave asks w to go, gently since it may have requests. So may one that is still
// starting: it may accept already, and its word that it is ready be on the way. It is
// recalled; if that word does not come, it has not got so far, and is told to stop.
func (p *Pool) leave(now time.Duration, w *worker, c Cause, why string) {
	w.cause, w.why = c, why
	if w.phase == Starting {
		w.enter(Draining, now)
		w.stopAt = now + recallGrace
		p.do(about(Recall, w))
		return
	}
	w.enter(Draining, now)
	w.killAt = now + w.limits.Drain
	p.do(about(Drain, w))
}

// hurry asks w to go at once.
func (p *Pool) hurry(now time.Duration, w *worker) {
	w.enter(Draining, now)
	if at := now + quickGrace; w.killAt == 0 || w.killAt > at {
		w.killAt = at
	}
	p.do(about(Stop, w))
}

// onStop ends a reload that is under way. A gentle stop waits for the delay
// first, in which everything goes on, but not before there is anything to go on.
func (p *Pool) onStop(now time.Duration, ev Event) {
	p.failRoll("the server stops")
	if !p.stopping {
		p.stopping, p.leaveAt = true, now
		if p.everReady {
			p.leaveAt += p.limits.Delay
		}
	}
	if ev.Quick {
		p.leaving = true
		p.stopAll(now)
	}
}

// stopAll asks everyone who is not already dying to go at once.
func (p *Pool) stopAll(now time.Duration) {
	for _, w := range p.workers {
		if w.phase == Killed || w.pid == 0 {
			continue
		}
		if w.cause == None {
			w.cause, w.why = Quit, "the server stops"
		}
		p.hurry(now, w)
	}
}

// finish ends the pool once nobody is left. A process that appeared after the
// stop was asked for is sent away as soon as it has a pid.
func (p *Pool) finish(now time.Duration) {
	for _, w := range p.workers {
		if w.serves() && w.pid != 0 {
			p.leave(now, w, Quit, "the server stops")
		}
	}
	switch {
	case len(p.workers) == 0:
		p.exit(p.exitCode, p.exitWhy)
	case p.onlyUnkillable(now):
		w := p.workers[0]
		p.exit(1, fmt.Sprintf("worker %d (pid %d) does not die of SIGKILL", w.slot, w.pid))
	}
}

func (p *Pool) exit(code int, why string) {
	p.exited = true
	p.do(Effect{Do: Exit, Code: code, Why: why})
}

// onlyUnkillable says that all who are left have had SIGKILL for a while: they
// hang in the kernel (state D in ps(1)) or are frozen. A stop must end all the same.
func (p *Pool) onlyUnkillable(now time.Duration) bool {
	for _, w := range p.workers {
		if w.phase != Killed || w.killAt != 0 || now < w.since+unkillable {
			return false
		}
	}
	return true
}
