package pool

import (
	"fmt"
	"time"
)

// beatHeard notes a beat, and reports whether anything follows from it.
func (p *Pool) beatHeard(now time.Duration, ev Event) bool {
	w := p.byPID[ev.PID]
	if w == nil {
		return false // it exited first
	}
	p.nearer = p.nearer || !w.beats
	w.heardFrom(now)
	w.beats = true
	if !ev.Bare {
		w.beat = ev.Beat
	}
	if p.roll != nil || !w.worn() { // a reload replaces it, or comes first
		return false
	}
	p.nearer = true
	p.condemn(w, Requests, fmt.Sprintf("answered %d requests", ev.Beat.Requests))
	return true
}

func (p *Pool) onBegun(now time.Duration, ev Event) {
	if w := p.byPID[ev.PID]; w != nil && !w.begun {
		w.begun, w.alive = true, now
	}
}

func (p *Pool) onHello(ev Event) {
	if w := p.byPID[ev.PID]; w != nil {
		w.greets = true
	}
}

func (p *Pool) onReady(now time.Duration, ev Event) {
	switch w := p.byPID[ev.PID]; {
	case w == nil:
	case w.phase == Starting:
		p.becomeReady(now, w)
	case w.stopAt != 0: // it was ready when it was recalled; not everybody reads commands
		w.enter(Draining, now)
		w.killAt = now + w.limits.Drain
		w.heardFrom(now)
		p.do(about(Drain, w))
	}
}

func (p *Pool) becomeReady(now time.Duration, w *worker) {
	w.enter(Ready, now)
	w.heard = now
	p.everReady = true
	if p.fails(w) {
		p.roll.faults = 0
	}
	e := about(TellReady, w)
	e.After = now - w.started
	p.do(e)
}

func (p *Pool) onDraining(now time.Duration, ev Event) {
	w := p.byPID[ev.PID]
	if w == nil || !w.serves() {
		return
	}
	w.cause, w.why = Quit, "it was told to leave by a signal"
	w.enter(Draining, now)
	w.killAt = now + w.limits.Drain
	if p.fails(w) {
		p.failRoll(w.why)
	}
}

func (p *Pool) onSpawned(now time.Duration, ev Event) {
	w := p.pending(ev.Slot, ev.Gen)
	if w == nil {
		return
	}
	w.pid, w.heard, w.started = ev.PID, now, now // its turn may have come late
	w.enter(Starting, now)
	p.byPID[ev.PID] = w
	p.spawned++
	p.slot(ev.Slot).spawns++
}

func (p *Pool) onSpawnFailed(now time.Duration, ev Event) {
	w := p.pending(ev.Slot, ev.Gen)
	if w == nil {
		return
	}
	p.remove(w)
	if p.isCanary(w) || p.rollFault(w) {
		p.failRoll("no process for its first worker: " + ev.Why)
		return
	}
	if p.current(w) {
		p.startFailed(now, w.slot, ev.Why)
	}
}

// pending finds the worker that was asked for and has no process yet.
func (p *Pool) pending(slot, gen int) *worker {
	for _, w := range p.workers {
		if w.slot == slot && w.gen == gen && w.pid == 0 {
			return w
		}
	}
	return nil
}

func (p *Pool) onExited(now time.Duration, ev Event) {
	w := p.byPID[ev.PID]
	if w == nil {
		return
	}
	p.remove(w)
	unasked := w.cause == None
	if unasked {
		w.cause = Crash
		w.why = exitText(ev)
	}
	if unasked && w.phase == Starting {
		w.cause = Boot
		w.why = exitText(ev) + " before it was ready"
	}
	p.exits[w.cause]++
	p.do(about(TellGone, w))
	switch {
	case p.isCanary(w), unasked && p.fails(w) && !fromOutside(ev.Signal), unasked && w.phase == Starting && p.rollFault(w):
		p.failRoll(w.why)
	case unasked && p.current(w):
		p.ended(now, w, ev)
	}
}

// ended decides how soon the successor of a worker that nobody told to leave
// may start: at once, unless workers of this slot keep failing.
func (p *Pool) ended(now time.Duration, w *worker, ev Event) {
	s := p.slot(w.slot)
	switch {
	case w.phase == Starting:
		p.startFailed(now, w.slot, w.why)
	case now-w.since < shortLife && !fromOutside(ev.Signal):
		p.backOff(now, w.slot, fmt.Sprintf("%s within %s of being ready", exitText(ev), shortLife))
	default:
		s.failures = 0
	}
}

func exitText(ev Event) string {
	if ev.Why != "" {
		return ev.Why
	}
	if ev.Signal != 0 {
		return fmt.Sprintf("ended by signal %d", ev.Signal)
	}
	return fmt.Sprintf("exited with status %d", ev.Code)
}
