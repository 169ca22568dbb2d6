package pool

import (
	"fmt"
	"time"
)

// converge moves the world one step towards the wish: it empties what is not
// wished for, fills what is, and ends when all are gone after a stop.
func (p *Pool) converge(now time.Duration) {
	if p.stopping {
		p.finish(now)
		return
	}
	p.retire(now)
	p.fill(now)
}

// retire sends away those whose slot is no longer wished for, and the condemned
// whose successor is ready.
func (p *Pool) retire(now time.Duration) {
	for _, w := range p.workers {
		switch {
		case !w.serves() || w.pid == 0:
		case w.slot > p.wish:
			p.leave(now, w, Scale, "fewer workers are wished for")
		case w.condemned && p.readyIn(w.slot):
			p.leave(now, w, w.cause, w.why)
		}
	}
}

// fill starts a worker in each slot that has none, as far as pauses after
// failures and the allowed surplus of processes permit.
func (p *Pool) fill(now time.Duration) {
	room := p.wish + p.limits.Surge - p.counted()
	for n := 1; n <= p.wish && room > 0; n++ {
		if now < p.slot(n).notBefore || p.filled(n) {
			continue
		}
		p.spawn(now, n)
		room--
	}
}

func (p *Pool) spawn(now time.Duration, n int) {
	w := &worker{slot: n, gen: p.gen, started: now, heard: now}
	w.enter(Starting, now)
	p.workers = append(p.workers, w)
	p.do(about(Spawn, w))
}

// filled says whether slot n has a worker that serves or is about to, and may stay.
func (p *Pool) filled(n int) bool {
	for _, w := range p.workers {
		if w.slot == n && w.fills() {
			return true
		}
	}
	return false
}

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

// leave asks w to go: gently when it may have requests, now when it is still
// starting and cannot have any.
func (p *Pool) leave(now time.Duration, w *worker, c Cause, why string) {
	w.cause, w.why = c, why
	if w.phase == Starting {
		p.hurry(now, w)
		return
	}
	w.enter(Draining, now)
	w.killAt = now + p.limits.Drain
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

func (p *Pool) onStop(now time.Duration, ev Event) {
	p.stopping = true
	if ev.Quick {
		p.stopAll(now)
		return
	}
	for _, w := range p.workers {
		if w.serves() && w.pid != 0 {
			p.leave(now, w, Quit, "the server stops")
		}
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
