package pool

import (
	"fmt"
	"strings"
	"time"
)

// step gives the pool one event, performs what it asks for and notes what must
// not be: an effect without a reason.
func (w *world) step(ev Event) {
	w.steps++
	if ev.Kind != BeatHeard {
		w.trace("%s %s pid=%d slot=%d n=%d", w.now, ev.Kind, ev.PID, ev.Slot, ev.N)
	}
	for _, e := range append([]Effect(nil), w.pool.Step(w.now, ev)...) {
		w.trace("    %s", text(e))
		w.perform(e)
	}
}

func (w *world) perform(e Effect) {
	p := w.procs[e.PID]
	switch e.Do {
	case Spawn:
		w.spawn(e)
	case Recall: // who hears it leaves; others wait to be told to stop
		w.asked(p, e.Do)
		if w.chance(0.5) {
			w.leaveSoon(p)
		}
	case Drain:
		w.fault(w.justDrain(p, e))
		w.asked(p, e.Do)
		w.fates["drained"]++
		w.leaveSoon(p)
	case Stop:
		w.asked(p, e.Do)
		w.leaveSoon(p)
	case Abort:
		w.fault(w.justAbort(p, e))
		w.asked(p, e.Do)
		w.fates["aborted"]++
		if w.chance(0.5) {
			w.die(p, 50*time.Millisecond, Event{Kind: Exited, Code: 2})
		}
	case Kill:
		w.fault(w.justKill(p, e))
		w.asked(p, e.Do)
		w.fates["killed"]++
		w.die(p, p.stuckKill, Event{Kind: Exited, Signal: 9})
	case TellGone:
		w.tally(e)
	case TellCondemned:
		w.fates["condemned"]++
	case TellPardoned:
		w.fates["pardoned"]++
	case TellCommitted:
		w.commit(e)
	case TellRolled:
		w.fault(w.justRolled(e))
		w.rolling = false
		w.fates["rolled"]++
	case TellAborted:
		w.abort(e)
	case Exit:
		w.ended = true
		w.fault(w.justExit(e))
	}
}

func (w *world) tally(e Effect) {
	switch e.Cause {
	case Crash:
		w.fates["crashed"]++
	case Boot:
		w.fates["boot-late"]++
	}
}

func (w *world) asked(p *proc, d Do) {
	if p == nil {
		w.fault(fmt.Errorf("%s for a process that does not exist", d))
		return
	}
	if p.asked == 0 || d > p.asked {
		p.asked, p.askedAt = d, w.now
	}
}

// fault keeps the first thing that was wrong, for check to report.
func (w *world) fault(err error) {
	if err != nil && firstFault(w) == nil {
		w.fates["fault: "+err.Error()]++
	}
}

func firstFault(w *world) error {
	for fate := range w.fates {
		if what, is := strings.CutPrefix(fate, "fault: "); is {
			return fmt.Errorf("%s", what)
		}
	}
	return nil
}

func (w *world) spawn(e Effect) {
	if !w.calm && w.chance(0.05) {
		w.fates["spawn-failed"]++
		w.step(Event{Kind: SpawnFailed, Slot: e.Slot, Gen: e.Gen, Why: "EAGAIN"})
		return
	}
	w.pid++
	p := &proc{slot: e.Slot, pid: w.pid, gen: e.Gen, limits: w.limitsOf(e.Gen), alive: true, beatEvery: w.between(100*time.Millisecond, 900*time.Millisecond)}
	w.procs[p.pid], w.order = p, append(w.order, p)
	w.nature(p)
	w.step(Event{Kind: Spawned, Slot: e.Slot, Gen: e.Gen, PID: p.pid})
}

func (w *world) limitsOf(gen int) Limits {
	if w.rolling && gen == w.to.gen {
		return *w.to.limits
	}
	return w.limits
}

// commit notes that the new generation is in force: a worker of it must have been
// ready for a while.
func (w *world) commit(e Effect) {
	if e.Gen != w.to.gen || !w.rolling {
		w.fault(fmt.Errorf("generation %d is in force, which nobody asked for", e.Gen))
	}
	w.before, w.wishWas = w.limits, w.wish
	w.gen, w.committed, w.limits = e.Gen, true, *w.to.limits
	if w.to.wish >= 0 {
		w.wish = w.to.wish
	}
	proven := w.wish == 0 // it has left already
	for _, x := range w.pool.workers {
		proven = proven || x.gen == e.Gen && x.phase == Ready && w.now >= x.since+probation
	}
	if !proven {
		w.fault(fmt.Errorf("generation %d is in force before a worker of it has lived for %s", e.Gen, probation))
	}
}

// abort notes that the old generation is in force again.
func (w *world) abort(e Effect) {
	if !w.rolling {
		w.fault(fmt.Errorf("a reload failed that nobody asked for"))
	}
	w.fates["aborted-roll"]++
	w.rolling = false
	if w.committed {
		w.fates["rolled-back"]++
		w.gen, w.limits = w.gen-1, w.before
		if w.to.wish >= 0 && w.wish == w.to.wish {
			w.wish = w.wishWas
		}
	}
	if e.Gen != w.gen {
		w.fault(fmt.Errorf("after a failed reload generation %d is in force instead of %d", e.Gen, w.gen))
	}
}

// justRolled: each slot has a ready worker of the new generation.
func (w *world) justRolled(e Effect) error {
	ready := map[int]bool{}
	for _, x := range w.pool.workers {
		if x.gen == e.Gen && x.phase == Ready {
			ready[x.slot] = true
		}
	}
	for n := 1; n <= w.wish; n++ {
		if !ready[n] {
			return fmt.Errorf("the reload is over, and slot %d has no ready worker of generation %d", n, e.Gen)
		}
	}
	return nil
}

// nature draws what the worker will do, and puts it on the wire.
func (w *world) nature(p *proc) {
	if p.limits.Staged {
		w.post(w.between(0, 2*time.Second), p, Event{Kind: BegunSaid})
	}
	ready := w.between(10*time.Millisecond, 1500*time.Millisecond)
	if w.broken(p, ready) {
		return
	}
	if !w.calm {
		switch w.rng.IntN(12) {
		case 0:
			w.post(w.between(0, time.Second), p, Event{Kind: Exited, Code: 1}) // crashes while it boots
			p.alive = false
			return
		case 1:
			w.post(0, p, Event{Kind: HelloSaid})
			p.deaf = w.chance(0.5)
			return // hangs while it boots
		case 2:
			w.post(ready+w.between(0, 3*time.Second), p, Event{Kind: Exited, Code: 2}) // crashes when ready
			p.alive = false
			w.wire = append(w.wire, delivery{w.now + ready, Event{Kind: ReadySaid, PID: p.pid, Slot: p.slot}})
			return
		case 3, 4:
			p.mute = w.now + ready + w.between(0, 20*time.Second)
		}
		p.deaf = w.chance(0.2)
		if w.chance(0.1) {
			p.stuckKill = w.between(0, 40*time.Second)
			w.stuckKill = max(w.stuckKill, p.stuckKill)
		}
	}
	if p.limits.Alive == 0 || w.chance(0.8) {
		w.post(ready, p, Event{Kind: ReadySaid})
	}
}

// broken does what all workers of a broken generation do, and says that p is one.
func (w *world) broken(p *proc, ready time.Duration) bool {
	if p.gen == 1 || w.calm && w.gen == p.gen {
		return false
	}
	switch w.bad[p.gen] {
	case 1: // crashes at its start
		w.die(p, ready, Event{Kind: Exited, Code: 1})
	case 2: // hangs at its start
		w.post(0, p, Event{Kind: HelloSaid})
	case 3: // crashes once it is ready
		w.wire = append(w.wire, delivery{w.now + ready, Event{Kind: ReadySaid, PID: p.pid, Slot: p.slot}})
		w.die(p, ready+w.between(time.Millisecond, 3*time.Second), Event{Kind: Exited, Code: 2})
	default:
		return false
	}
	return true
}

func (w *world) justDrain(p *proc, e Effect) error {
	if w.stop || e.Slot > w.wish || w.ended || p.asked == Recall {
		return nil
	}
	switch e.Cause {
	case Memory, Age, Requests:
		w.fates["recycled"]++
		fallthrough
	case Timeout, Reload:
		if e.Cause == Reload && p.gen == w.gen && !discarded(w, p.pid) && !w.redone(p.pid) {
			return fmt.Errorf("a worker of the generation in force left for a reload")
		}
		if w.pool.served(e.Slot) {
			return nil // its successor is ready: capacity does not dip
		}
	}
	return fmt.Errorf("worker in slot %d drained though it is wished for", e.Slot)
}

// justAbort: the worker must truly have been silent, the time not counted in
// which the master itself was stopped.
func (w *world) justAbort(p *proc, e Effect) error {
	if p == nil || !p.alive {
		return nil // it is dying anyway
	}
	if quiet := w.now - max(p.lastBeat, w.awake); quiet < p.limits.Silence/2 && p.mute == 0 {
		return fmt.Errorf("a worker that beat %s ago was aborted", quiet)
	}
	if p.mute == 0 {
		return fmt.Errorf("a worker that never fell silent was aborted")
	}
	return nil
}

func (w *world) justKill(p *proc, e Effect) error {
	if p == nil || e.Cause == None {
		return fmt.Errorf("kill of pid %d without a cause", e.PID)
	}
	if w.overslept && w.now == w.awake {
		return fmt.Errorf("kill of pid %d in the moment the master woke", e.PID)
	}
	if p.asked == 0 && e.Cause != Boot && e.Cause != Quit && e.Cause != Reload {
		return fmt.Errorf("kill of pid %d (%s) that was never asked to leave", e.PID, e.Cause)
	}
	return nil
}

func (w *world) justExit(e Effect) error {
	for _, p := range w.procs {
		if p.asked != Kill {
			return fmt.Errorf("exit while pid %d is still there", p.pid)
		}
	}
	if e.Code == 0 && !w.stop {
		return fmt.Errorf("exit 0 though nobody asked for it")
	}
	return nil
}

// check holds after every event, in any weather.
func (w *world) check() error {
	if err := firstFault(w); err != nil {
		return err
	}
	seen, counted := map[int]int{}, 0
	for _, x := range w.pool.workers {
		if x.pid != 0 && w.procs[x.pid] == nil {
			return fmt.Errorf("pid %d is kept after it was reaped", x.pid)
		}
		if w.pool.fills(x) {
			seen[x.slot]++
		}
		if x.cause != Scale && x.cause != Quit {
			counted++
		}
	}
	for slot, n := range seen {
		if n > 1 {
			return fmt.Errorf("%d workers serve slot %d", n, slot)
		}
	}
	if most := w.highSurge; counted > w.high+most {
		return fmt.Errorf("%d processes for a wish of %d and a surge of %d", counted, w.high, most)
	}
	if most := time.Duration(w.high+3) * w.patience(); w.rolling && w.now > w.began+most {
		return fmt.Errorf("the reload has been under way for %s", w.now-w.began)
	}
	if !w.ended && len(w.pool.byPID) != len(w.procs) {
		return fmt.Errorf("the pool knows %d processes, there are %d", len(w.pool.byPID), len(w.procs))
	}
	return nil
}

func (w *world) allCurrent() bool {
	for _, x := range w.pool.workers {
		if !w.pool.current(x) {
			return false
		}
	}
	return true
}

// longest are the largest of all limits that count now.
func (w *world) longest() Limits {
	l := w.limits
	if w.rolling {
		n := w.to.limits
		l.Boot, l.Drain, l.Silence = max(l.Boot, n.Boot), max(l.Drain, n.Drain), max(l.Silence, n.Silence)
	}
	for _, x := range w.pool.workers {
		l.Boot, l.Drain, l.Silence = max(l.Boot, x.limits.Boot), max(l.Drain, x.limits.Drain), max(l.Silence, x.limits.Silence)
	}
	return l
}

// redone says that a worker is the canary of a reload that wanted it replaced.
func (w *world) redone(pid int) bool {
	x := w.pool.byPID[pid]
	return x != nil && x.condemned && x.cause == Reload
}

// patience is the longest that a reload may be without getting further.
func (w *world) patience() time.Duration {
	l := w.longest()
	return l.Boot + l.Drain + unkillable
}

func discarded(w *world, pid int) bool {
	x := w.pool.byPID[pid]
	return x != nil && x.discarded
}

// settle ends all faults; what is wished for must then come true in bounded time.
func (w *world) settle() error {
	w.calm = true
	for _, p := range w.procs {
		if p.mute > w.now {
			p.mute = 0 // who is silent already stays so, and is replaced
		}
	}
	l := w.longest()
	limit := w.now + w.patience() + 3*lastBackoff + 4*l.Boot + l.Silence + 2*time.Minute + time.Duration(w.high+2)*(l.Drain+3*time.Second+w.stuckKill)
	for !w.ended && w.now < limit {
		if !w.stop && !w.rolling && w.pool.Ready() == w.wish && len(w.pool.workers) == w.wish && w.allCurrent() {
			return firstFault(w)
		}
		if err := w.turn(); err != nil {
			return fmt.Errorf("after the storm at %s: %w", w.now, err)
		}
	}
	if w.ended {
		return firstFault(w)
	}
	return fmt.Errorf("%s after the storm %d of %d workers are ready: %+v", limit-w.now, w.pool.Ready(), w.wish, w.pool.Status())
}
