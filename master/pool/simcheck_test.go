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
		w.step(Event{Kind: SpawnFailed, Slot: e.Slot, Why: "EAGAIN"})
		return
	}
	w.pid++
	p := &proc{slot: e.Slot, pid: w.pid, alive: true, beatEvery: w.between(100*time.Millisecond, 900*time.Millisecond)}
	w.procs[p.pid], w.order = p, append(w.order, p)
	w.nature(p)
	w.step(Event{Kind: Spawned, Slot: e.Slot, PID: p.pid})
}

// nature draws what the worker will do, and puts it on the wire.
func (w *world) nature(p *proc) {
	if w.limits.Staged {
		w.post(w.between(0, 2*time.Second), p, Event{Kind: BegunSaid})
	}
	ready := w.between(10*time.Millisecond, 1500*time.Millisecond)
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
		}
	}
	if w.limits.Alive == 0 || w.chance(0.8) {
		w.post(ready, p, Event{Kind: ReadySaid})
	}
}

func (w *world) justDrain(p *proc, e Effect) error {
	if w.stop || e.Slot > w.wish || w.ended {
		return nil
	}
	if e.Cause == Timeout && w.pool.readyIn(e.Slot) {
		return nil // its successor is ready: capacity does not dip
	}
	return fmt.Errorf("worker in slot %d drained though it is wished for", e.Slot)
}

// justAbort: the worker must truly have been silent, the time not counted in
// which the master itself was stopped.
func (w *world) justAbort(p *proc, e Effect) error {
	if p == nil || !p.alive {
		return nil // it is dying anyway
	}
	if quiet := w.now - max(p.lastBeat, w.awake); quiet < w.limits.Silence/2 && p.mute == 0 {
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
	if p.asked == 0 && e.Cause != Boot && e.Cause != Quit {
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
		if x.fills() {
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
	if counted > w.high+w.limits.Surge {
		return fmt.Errorf("%d processes for a wish of %d and a surge of %d", counted, w.high, w.limits.Surge)
	}
	if !w.ended && len(w.pool.byPID) != len(w.procs) {
		return fmt.Errorf("the pool knows %d processes, there are %d", len(w.pool.byPID), len(w.procs))
	}
	return nil
}

// settle ends all faults; what is wished for must then come true in bounded time.
func (w *world) settle() error {
	w.calm = true
	for _, p := range w.procs {
		if p.mute > w.now {
			p.mute = 0 // who is silent already stays so, and is replaced
		}
	}
	limit := w.now + 3*lastBackoff + 2*w.limits.Boot + w.limits.Drain + w.limits.Silence + time.Minute
	for !w.ended && w.now < limit {
		if !w.stop && w.pool.Ready() == w.wish && len(w.pool.workers) == w.wish {
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
