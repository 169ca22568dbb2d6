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
	case w.killAt != 0 && now >= w.killAt:
		if w.phase == Draining {
			w.why += fmt.Sprintf("; still there %s later", (now - w.since).Round(time.Millisecond))
		}
		p.kill(now, w)
	case w.phase == Starting && p.aliveLongEnough(now, w):
		p.becomeReady(now, w)
	case w.phase == Starting && now >= w.since+p.limits.Boot:
		p.bootLate(now, w)
	case p.silent(now, w):
		p.suspect(now, w)
	}
	if w.graceOver(now) {
		p.condemn(w)
	}
}

func (p *Pool) aliveLongEnough(now time.Duration, w *worker) bool {
	return p.byAge(w) && now >= p.aliveSince(w)+p.limits.Alive
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
	return p.limits.Alive > 0 && !(p.limits.Word && w.greets) && (w.begun || !p.limits.Staged)
}

func (p *Pool) silent(now time.Duration, w *worker) bool {
	judged := w.phase == Ready || w.phase == Draining
	return judged && w.beats && p.limits.Silence > 0 && now >= w.heard+p.limits.Silence
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
	w.why = fmt.Sprintf("not ready %s after its start%s", p.limits.Boot, mute)
	p.kill(now, w)
	if p.everReady {
		p.backOff(now, w.slot, w.why)
		return
	}
	p.giveUp(now, "no worker became ready within "+p.limits.Boot.String()+mute)
}

// mute explains the commonest mistake: an app that may serve well, but does not
// know the pipe that it is expected to speak through.
func (p *Pool) mute(w *worker) string {
	if w.greets || p.limits.Alive > 0 {
		return ""
	}
	return `: it has to say so through its pipe (ready = "pipe") and said nothing`
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
	if !p.stopping {
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
	switch {
	case w.pid == 0: // judged from its birth on
	case w.phase == Starting && p.byAge(w):
		d.offer(min(p.aliveSince(w)+p.limits.Alive, w.since+p.limits.Boot))
	case w.phase == Starting:
		d.offer(w.since + p.limits.Boot)
	case w.phase == Killed:
		if at := w.since + unkillable; p.stopping && w.killAt == 0 && at > p.looked {
			d.offer(at)
		}
	case w.suspected != 0:
		d.offer(w.suspected + secondLook)
	case w.beats && p.limits.Silence > 0:
		d.offer(w.heard + p.limits.Silence)
	}
	if w.phase == Ready && !w.condemned && len(w.stuck) > 0 {
		d.offer(w.stuck[0].due)
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
