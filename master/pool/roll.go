package pool

import (
	"fmt"
	"time"
)

// roll is a reload that is under way. First one worker of the new generation,
// the canary, has to become ready and to live for a while, beside all the old
// ones. Then the new generation is in force, the old workers are outdated, and
// converge replaces them one after the other. If the canary dies, or a later
// worker does, the old generation is in force again.
type roll struct {
	gen     int           // the new generation
	limits  *Limits       // its own
	wish    int           // of the new generation, -1 = as it is
	started bool          // the canary was asked for
	proven  bool          // the new generation is in force
	redo    bool          // the canary is replaced once it has proven the generation
	faults  int           // starts in a row that came to nothing without the app's doing
	served  int           // the most slots that had a ready worker of the new generation
	moved   time.Duration // when it last got further
	drain   time.Duration // the longest that one of the workers since its begin may drain
	before  struct {
		limits *Limits
		wish   int
	}
}

// probation is how long a canary must live once it is ready: what breaks an app
// often shows with the first requests only.
const probation = shortLife

// mostFaults is how many starts in a row the kernel may refuse, or end from
// outside (for want of memory, say), before the reload has failed.
const mostFaults = 3

// onReload begins a roll; there is none at this time.
func (p *Pool) onReload(now time.Duration, ev Event) {
	if p.roll != nil || p.stopping || ev.Limits == nil {
		return
	}
	p.roll = &roll{gen: p.gen + 1, limits: ev.Limits, wish: ev.N, redo: ev.Redo, moved: now}
}

// onScale takes a number that is later than that of a file that is not in force yet.
func (p *Pool) onScale(ev Event) {
	p.wish = min(max(ev.N, 0), MaxWorkers)
	if p.roll != nil && !p.roll.proven {
		p.roll.wish = -1
	}
}

// advance moves the roll on.
func (p *Pool) advance(now time.Duration) {
	r := p.roll
	switch {
	case r == nil:
		return
	case r.proven:
		p.advanceProven(now)
	case !r.started && p.wish == 0 && r.wish <= 0:
		p.commit(now) // nobody is wished for
		p.advanceProven(now)
	case !r.started && max(p.room(), r.wish+r.limits.Surge-p.counted()) > 0:
		r.started, r.moved = true, now
		p.spawn(now, 1, r.gen, r.limits)
	case r.started:
		p.watchCanary(now)
	}
	if p.roll == r && now >= r.moved+p.patience() {
		p.failRoll(fmt.Sprintf("it has got no further for %s: %s", p.patience(), p.hindrance()))
	}
}

// patience is how long a roll may stay where it is: an old worker drains, perhaps
// to its limit, and then a new one starts. Without it a worker that does not die
// of SIGKILL, or whatever else takes the room, would hold up every later reload.
func (p *Pool) patience() time.Duration {
	r := p.roll
	r.drain = max(r.drain, r.limits.Drain, p.limits.Drain)
	for _, w := range p.workers { // one of the time before may have longer
		r.drain = max(r.drain, w.limits.Drain)
	}
	return r.limits.Boot + r.drain + unkillable
}

// hindrance says what a roll may have waited for.
func (p *Pool) hindrance() string {
	drains := ""
	for _, w := range p.workers {
		switch w.phase {
		case Killed:
			return fmt.Sprintf("worker %d (pid %d) does not die of SIGKILL", w.slot, w.pid)
		case Draining:
			drains = fmt.Sprintf("worker %d (pid %d) drains, and max_surge allows no more processes", w.slot, w.pid)
		}
	}
	if drains != "" {
		return drains
	}
	return "its workers do not stay"
}

// advanceProven ends the roll when every slot has a worker of the new generation.
// The last outdated workers are told to leave after that.
func (p *Pool) advanceProven(now time.Duration) {
	served := 0
	for n := 1; n <= p.wish; n++ {
		if p.served(n) {
			served++
		}
	}
	if served == p.wish {
		p.roll = nil
		p.do(Effect{Do: TellRolled, Gen: p.gen})
		return
	}
	if served > p.roll.served {
		p.roll.served, p.roll.moved = served, now
	}
}

func (p *Pool) watchCanary(now time.Duration) {
	for _, w := range p.workers {
		switch {
		case !p.isCanary(w):
		case w.condemned:
			p.failRoll(w.why)
			return
		case w.phase == Ready && now >= w.since+probation:
			p.commit(now)
			p.advanceProven(now)
			return
		}
	}
}

// commit puts the new generation in force. Its slots start without the failures
// of the old one.
func (p *Pool) commit(now time.Duration) {
	r := p.roll
	for _, w := range p.workers {
		if r.redo && p.isCanary(w) {
			p.condemn(w, Reload, "it was started with old settings")
		}
	}
	r.before.limits, r.before.wish = p.limits, p.wish
	p.gen, p.limits, r.proven, r.moved = r.gen, r.limits, true, now
	if r.wish >= 0 {
		p.wish = r.wish
	}
	p.forget()
	p.do(Effect{Do: TellCommitted, Gen: p.gen})
}

// failRoll puts the old generation in force again, if there is a roll. Its
// workers that still serve stay; where they have left already, converge starts
// others before the workers of the new generation leave.
func (p *Pool) failRoll(why string) {
	r := p.roll
	if r == nil {
		return
	}
	if r.proven {
		p.gen, p.limits = p.gen-1, r.before.limits
		if r.wish >= 0 && p.wish == r.wish {
			p.wish = r.before.wish
		}
		p.forget()
	}
	for _, w := range p.workers {
		w.discarded = w.discarded || w.gen == r.gen
	}
	p.roll = nil
	p.do(Effect{Do: TellAborted, Gen: p.gen, Why: why})
}

// forget clears the pauses of all slots, which another generation has earned.
func (p *Pool) forget() {
	for i := range p.slots {
		p.slots[i].failures, p.slots[i].notBefore = 0, 0
	}
}

// isCanary says that w is the first worker of a generation that is not in force.
func (p *Pool) isCanary(w *worker) bool {
	return p.roll != nil && !p.roll.proven && p.fails(w)
}

// fails says that the end of w may fail the roll.
func (p *Pool) fails(w *worker) bool {
	return p.roll != nil && w.gen == p.roll.gen && !w.discarded
}

// rollFault counts a start of the new generation that the kernel refused or ended,
// and says that there have been too many.
func (p *Pool) rollFault(w *worker) bool {
	if !p.fails(w) {
		return false
	}
	p.roll.faults++
	return p.roll.faults >= mostFaults
}

// current says that w is of the generation in force.
func (p *Pool) current(w *worker) bool { return w.gen == p.gen && !w.discarded }

// outdated says that w is to be replaced by a worker of the generation in force.
func (p *Pool) outdated(w *worker) bool { return !p.current(w) && !p.isCanary(w) }

func (p *Pool) whyOutdated(w *worker) string {
	if w.discarded {
		return "the reload failed"
	}
	return "a new generation took its place"
}

// rollDue offers the end of the canary's probation, and of the roll's patience.
func (p *Pool) rollDue(d *earliest) {
	d.offer(p.roll.moved + p.patience())
	for _, w := range p.workers {
		if p.isCanary(w) && w.phase == Ready {
			d.offer(w.since + probation)
		}
	}
}
