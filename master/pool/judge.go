package pool

import (
	"fmt"
	"time"
)

// judge finds the workers that are past a deadline.
func (p *Pool) judge(now time.Duration) {
	for _, w := range p.workers {
		if w.pid != 0 {
			p.judgeOne(now, w)
		}
	}
}

func (p *Pool) judgeOne(now time.Duration, w *worker) {
	switch {
	case w.stopAt != 0 && now >= w.stopAt:
		p.hurry(now, w)
	case w.killAt != 0 && now >= w.killAt:
		if w.phase == Draining {
			w.why += fmt.Sprintf("; still there %s later", (now - w.since).Round(time.Millisecond))
		}
		p.kill(now, w)
	case w.phase == Starting && p.aliveLongEnough(now, w):
		p.becomeReady(now, w)
	case w.phase == Starting && now >= w.since+w.limits.Boot:
		p.bootLate(now, w)
	case p.silent(now, w):
		p.suspect(now, w)
	}
	if w.graceOver(now) {
		p.condemn(w, Timeout, fmt.Sprintf("request %s is stuck", w.stuck[0].id))
	}
}

func (p *Pool) aliveLongEnough(now time.Duration, w *worker) bool {
	return p.byAge(w) && now >= p.aliveSince(w)+w.limits.Alive
}

func (p *Pool) aliveSince(w *worker) time.Duration {
	if w.begun {
		return w.alive
	}
	return w.since
}

// byAge says that w becomes ready by being alive, without a word of its own. On a
// busy machine the first stage alone can last longer than a broken app would live.
func (p *Pool) byAge(w *worker) bool {
	return w.limits.Alive > 0 && !(w.limits.Word && w.greets) && (w.begun || !w.limits.Staged)
}

func (p *Pool) silent(now time.Duration, w *worker) bool {
	judged := w.phase == Ready || w.phase == Draining
	return judged && w.beats && w.limits.Silence > 0 && now >= w.heard+w.limits.Silence
}

// suspect looks twice before it aborts. The first look only notes the time: if
// the master was away itself, the beats are in the pipe, and those that read
// the pipes need a moment to hand them on.
func (p *Pool) suspect(now time.Duration, w *worker) {
	switch {
	case w.suspected == 0:
		w.suspected = now
	case now >= w.suspected+secondLook:
		p.abort(now, w)
	}
}

func (p *Pool) kill(now time.Duration, w *worker) {
	w.killAt = 0
	w.enter(Killed, now)
	p.do(about(Kill, w))
}

func (p *Pool) abort(now time.Duration, w *worker) {
	if w.cause == None {
		w.cause = Silent
	}
	w.why = fmt.Sprintf("silent for %s", (now - w.heard).Round(time.Millisecond))
	w.enter(Killed, now)
	w.killAt = now + abortGrace
	p.do(about(Abort, w))
}

func (p *Pool) bootLate(now time.Duration, w *worker) {
	mute := p.mute(w)
	w.cause = Boot
	w.why = fmt.Sprintf("not ready %s after its start%s", w.limits.Boot, mute)
	p.kill(now, w)
	switch {
	case p.fails(w):
		p.failRoll(w.why)
	case !p.current(w):
	case p.everReady:
		p.backOff(now, w.slot, w.why)
	default:
		p.giveUp(now, "no worker became ready within "+w.limits.Boot.String()+mute)
	}
}

// mute explains the commonest mistake: an app that may serve well, but does not
// know the pipe that it is expected to speak through.
func (p *Pool) mute(w *worker) string {
	if w.greets || w.limits.Alive > 0 {
		return ""
	}
	return `: it has to say so (ready = "pipe" or "notify") and said nothing`
}

// Deadline says when to step with Ticked, if nothing happens before; false when
// there is nothing to wait for but events.
func (p *Pool) Deadline() (time.Duration, bool) {
	var d earliest
	p.nearer = false
	if p.exited {
		return 0, false
	}
	for _, w := range p.workers {
		p.dues(w, &d)
	}
	if p.stopping && !p.leaving {
		d.offer(p.leaveAt)
	}
	if p.roll != nil {
		p.rollDue(&d)
	}
	if !p.leaving {
		for n := 1; n <= min(p.wish, len(p.slots)); n++ {
			if t := p.slots[n-1].notBefore; t > p.looked && !p.filled(n) {
				d.offer(t)
			}
		}
	}
	p.promised = d.at
	return d.at, d.any
}

// Nearer says that a beat has brought the Deadline nearer since it was last asked
// for. Only the first beat of a worker does: from then on its silence is judged.
func (p *Pool) Nearer() bool { return p.nearer }

// dues offers the times at which w is to be judged.
func (p *Pool) dues(w *worker, d *earliest) {
	if w.killAt != 0 {
		d.offer(w.killAt)
	}
	if w.stopAt != 0 {
		d.offer(w.stopAt)
	}
	switch {
	case w.pid == 0: // judged from its birth on
	case w.phase == Starting && p.byAge(w):
		d.offer(min(p.aliveSince(w)+w.limits.Alive, w.since+w.limits.Boot))
	case w.phase == Starting:
		d.offer(w.since + w.limits.Boot)
	case w.phase == Killed:
		if at := w.since + unkillable; p.leaving && w.killAt == 0 && at > p.looked {
			d.offer(at)
		}
	case w.suspected != 0:
		d.offer(w.suspected + secondLook)
	case w.beats && w.limits.Silence > 0:
		d.offer(w.heard + w.limits.Silence)
	}
	if w.phase == Ready && !w.condemned && len(w.stuck) > 0 {
		d.offer(w.stuck[0].due)
	}
	if w.phase == Ready && !w.condemned && w.limits.MaxAge > 0 && p.roll == nil {
		d.offer(w.since + w.limits.MaxAge)
	}
}

// earliest keeps the smallest time offered.
type earliest struct {
	at  time.Duration
	any bool
}

func (e *earliest) offer(t time.Duration) {
	if !e.any || t < e.at {
		e.at, e.any = t, true
	}
}
