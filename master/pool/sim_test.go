package pool

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	simSeeds  = flag.Int("sim.seeds", 60, "how many seeds to simulate")
	simEvents = flag.Int("sim.events", 120_000, "how many events in all")
	simSeed   = flag.Uint64("sim.seed", 0, "replay this one seed")
)

// TestSimulation drives pools through random faults in virtual time. A failing
// seed is printed; replay it with `go test ./master/pool -run Simulation -sim.seed=N -v`.
func TestSimulation(t *testing.T) {
	t.Parallel()
	if *simSeed != 0 {
		w := newWorld(*simSeed)
		w.trace = t.Logf
		if err := w.run(*simEvents / max(*simSeeds, 1)); err != nil {
			t.Fatalf("seed %d: %v", *simSeed, err)
		}
		return
	}
	events, ends := 0, map[string]int{}
	for seed := uint64(1); seed <= uint64(*simSeeds); seed++ {
		for spent, life := 0, uint64(0); spent < *simEvents / *simSeeds; life++ { // a world may end early
			w := newWorld(seed + life<<32)
			if err := w.run(*simEvents / *simSeeds - spent); err != nil {
				t.Fatalf("seed %d: %v", seed+life<<32, err)
			}
			spent += w.steps
			for fate, n := range w.fates {
				ends[fate] += n
			}
			events += w.steps
		}
	}
	t.Logf("%d events over %d seeds; what befell the workers: %v", events, *simSeeds, ends)
	for _, fate := range []string{"aborted", "killed", "drained", "crashed", "boot-late", "spawn-failed", "overdue", "condemned", "pardoned", "rolled", "aborted-roll", "rolled-back", "upgraded", "recycled"} {
		if *simSeeds >= 60 && ends[fate] == 0 {
			t.Errorf("no worker was %s: the simulation proves nothing about that", fate)
		}
	}
}

func FuzzSimulation(f *testing.F) {
	f.Add(uint64(1), uint16(400))
	f.Add(uint64(99), uint16(2000))
	f.Fuzz(func(t *testing.T, seed uint64, events uint16) {
		if err := newWorld(seed).run(int(events)); err != nil {
			t.Fatal(err)
		}
	})
}

// world is everything the pool cannot see: processes with a will of their own.
type world struct {
	rng       *rand.Rand
	pool      *Pool
	limits    Limits
	now       time.Duration
	procs     map[int]*proc
	order     []*proc    // the same by age: a map's order would not replay
	wire      []delivery // what is on its way to the master, unsorted
	pid       int
	calm      bool // faults have ended: everyone behaves
	steps     int
	ids       int
	wish      int
	high      int // the largest wish that leaving processes may stem from
	stop      bool
	gen       int  // in force, by the effects
	rolling   bool // a reload has been asked for and has not ended
	to        roll // what was asked for
	committed bool
	began     time.Duration // when the reload was asked for, moved on by the time the master slept
	wishWas   int           // before the commit
	before    Limits
	highSurge int
	stuckKill time.Duration // the longest that SIGKILL takes
	bad       map[int]int   // how a generation is broken
	ended     bool
	awake     time.Duration // since when the master has not been stopped itself
	overslept bool          // at awake a deadline had passed long ago
	fates     map[string]int
	trace     func(string, ...any)
}

type delivery struct {
	at time.Duration
	ev Event
}

// proc is one simulated worker. The fields are its nature, drawn at its start.
type proc struct {
	slot, pid int
	gen       int
	limits    Limits
	requests  uint64
	alive     bool
	mute      time.Duration // when it stops beating, 0 = never
	deaf      bool          // ignores being asked to leave
	stuckKill time.Duration // how long it survives SIGKILL
	beatEvery time.Duration
	lastBeat  time.Duration // when its last word was sent
	saidReady bool
	stuck     int // requests that never return
	asked     Do
	askedAt   time.Duration
}

func newWorld(seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 20))
	w := &world{rng: rng, procs: map[int]*proc{}, pid: 100, fates: map[string]int{}, trace: func(string, ...any) {}}
	w.limits = w.draw()
	w.pool, w.wish, w.high = New(w.limits), w.limits.Workers, w.limits.Workers
	w.highSurge = w.limits.Surge
	w.gen, w.bad = 1, map[int]int{}
	return w
}

// draw makes the limits of a generation.
func (w *world) draw() Limits {
	l := Limits{
		Workers: w.rng.IntN(6), Surge: 1 + w.rng.IntN(3),
		Boot: w.between(2*time.Second, 20*time.Second), Silence: w.between(time.Second, 10*time.Second),
		Drain: w.between(time.Second, 20*time.Second), Grace: w.between(10*time.Millisecond, 10*time.Second),
	}
	if w.chance(0.3) {
		l.Alive, l.Word, l.Staged = time.Second, w.chance(0.7), w.chance(0.5)
	}
	if w.chance(0.2) {
		l.MaxAge = w.between(20*time.Second, 60*time.Second)
	}
	if w.chance(0.2) {
		l.MaxRequests, l.Jitter = 20, 10
	}
	if w.chance(0.2) {
		l.MaxMemory = 1000
	}
	if w.chance(0.3) {
		l.Delay = w.between(0, 10*time.Second)
	}
	return l
}

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }
func (w *world) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.rng.Int64N(int64(b-a)))
}

// run lets the world rage for n events, then calms it and checks that all ends well.
func (w *world) run(n int) error {
	w.step(Event{Kind: Ticked})
	for i := 0; i < n && !w.ended; i++ {
		if err := w.turn(); err != nil {
			return fmt.Errorf("event %d at %s: %w", i, w.now, err)
		}
	}
	return w.settle()
}

// turn advances to the next thing that happens and takes it.
func (w *world) turn() error {
	if !w.calm && w.chance(0.02) {
		w.disturb()
		return w.check()
	}
	if !w.calm && w.chance(0.002) {
		w.sleep() // the master is stopped; the world goes on
	}
	due, any := w.pool.Deadline()
	next, at := w.next()
	switch {
	case next < 0 && !any && w.rolling:
		return fmt.Errorf("the reload waits for nothing")
	case next < 0 && !any:
		w.now += time.Second
		w.step(Event{Kind: ScaleAsked, N: w.wish}) // nothing to wait for
	case next < 0 || any && due <= at:
		w.advance(due)
		w.step(Event{Kind: Ticked})
		if again, more := w.pool.Deadline(); more && again <= w.now {
			return fmt.Errorf("the deadline %s stays in the past after a tick: the loop would spin", again)
		}
	default:
		w.advance(at)
		w.deliver(next)
	}
	return w.check()
}

func (w *world) advance(to time.Duration) { w.now = max(w.now, to) }

// next is the index and time of the earliest delivery, -1 without one.
func (w *world) next() (int, time.Duration) {
	best, at := -1, time.Duration(0)
	for i, d := range w.wire {
		if best < 0 || d.at < at {
			best, at = i, d.at
		}
	}
	return best, at
}

func (w *world) deliver(i int) {
	ev := w.wire[i].ev
	w.wire[i] = w.wire[len(w.wire)-1]
	w.wire = w.wire[:len(w.wire)-1]
	p := w.procs[ev.PID]
	if p == nil {
		return
	}
	if !p.alive && ev.Kind != Exited {
		return
	}
	switch ev.Kind {
	case OverdueSaid:
		w.overdue(p, ev)
		return
	case Exited:
		delete(w.procs, ev.PID)
		w.order = slices.DeleteFunc(w.order, func(x *proc) bool { return x == p })
	case BeatHeard:
		w.post(p.beatEvery, p, Event{Kind: BeatHeard}) // the next one
		if p.mute != 0 && w.now >= p.mute {
			return
		}
		p.lastBeat = w.now
		p.requests += uint64(w.rng.IntN(3))
		ev.Beat.Requests = p.requests
	case ReadySaid:
		p.saidReady = true
		if w.chance(0.8) {
			w.post(p.beatEvery, p, Event{Kind: BeatHeard})
		}
		if !w.calm && w.chance(0.3) {
			w.post(w.between(0, 30*time.Second), p, Event{Kind: OverdueSaid})
		}
	}
	w.step(ev)
}

// overdue has a request of p exceed its limit, a few more after it, and some of
// them return.
func (w *world) overdue(p *proc, ev Event) {
	w.ids++
	ev.ID = fmt.Sprint(w.ids)
	w.fates["overdue"]++
	w.step(ev)
	if w.chance(0.5) {
		back := ev
		back.Kind = RecoveredSaid
		w.post(w.between(0, 12*time.Second), p, back)
	} else {
		p.stuck++
	}
	if !w.calm && w.chance(0.4) {
		w.post(w.between(0, 5*time.Second), p, Event{Kind: OverdueSaid})
	}
}

func (w *world) post(in time.Duration, p *proc, ev Event) {
	ev.PID, ev.Slot = p.pid, p.slot
	w.wire = append(w.wire, delivery{w.now + in, ev})
}

// sleep stops the master: time passes, beats are sent and wait in their pipes.
func (w *world) sleep() {
	before, slept := w.now, w.between(10*time.Millisecond, 40*time.Second)
	w.now += slept
	w.began += slept
	w.awake = w.now
	due, any := w.pool.Deadline() // beats may have moved it on since it was last asked for
	w.overslept = any && due > before && w.now > due+sleepMargin
	for _, p := range w.procs {
		if p.mute == 0 || p.mute > w.now {
			p.lastBeat = w.now
		}
	}
}

func (w *world) disturb() {
	switch w.rng.IntN(14) {
	case 0, 1, 2:
		w.scale(w.rng.IntN(8))
	case 3:
		w.scale(w.wish + 1)
	case 4:
		w.scale(max(w.wish-1, 0))
	case 5, 6, 7:
		w.murder()
	case 8:
		w.nonsense()
	case 9, 10:
		w.reload()
	case 11:
		w.upgrade()
	case 12:
		w.grow()
	default:
		if w.chance(0.05) {
			w.stop = true
			w.step(Event{Kind: StopAsked, Quick: w.chance(0.3)})
		}
	}
}

// reload asks for a new generation, which may be broken in one way or another.
func (w *world) reload() {
	if w.rolling || w.stop {
		return
	}
	l := w.draw()
	r := roll{gen: w.gen + 1, limits: &l, wish: -1}
	if w.chance(0.3) {
		r.wish = l.Workers
	}
	w.rolling, w.committed, w.to, w.began = true, false, r, w.now
	w.high, w.highSurge = max(w.high, r.wish), max(w.highSurge, l.Surge)
	w.bad[r.gen], r.redo = w.rng.IntN(6), w.chance(0.2)
	w.step(Event{Kind: ReloadAsked, Limits: r.limits, N: r.wish, Redo: r.redo})
}

// upgrade has another image of the master take over: what it knows is what was
// written down.
func (w *world) upgrade() {
	if w.rolling || w.stop || w.ended {
		return
	}
	text, err := json.Marshal(w.pool.Save(w.now))
	var s State
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		w.fault(err)
		return
	}
	before := fmt.Sprintf("%+v", w.pool.Status())
	p, err := Restore(s)
	w.fault(err)
	if after := fmt.Sprintf("%+v", p.Status()); after != before {
		w.fault(fmt.Errorf("adopted %s instead of %s", after, before))
	}
	w.pool = p
	w.fates["upgraded"]++
	w.step(Event{Kind: Ticked})
}

// grow has a worker measured.
func (w *world) grow() {
	for _, p := range w.order {
		if p.alive && w.chance(0.5) {
			w.step(Event{Kind: Measured, PID: p.pid, N: w.rng.IntN(1500)})
			return
		}
	}
}

func (w *world) scale(n int) {
	w.wish, w.high = n, max(w.high, n)
	if w.rolling && !w.committed {
		w.to.wish = -1
	}
	w.step(Event{Kind: ScaleAsked, N: n})
}

// murder ends a random worker from outside, or tells it to drain.
func (w *world) murder() {
	for _, p := range w.order {
		if !p.alive || w.chance(0.5) {
			continue
		}
		if w.chance(0.3) {
			w.step(Event{Kind: DrainingSaid, PID: p.pid})
			w.leaveSoon(p)
			return
		}
		w.die(p, 0, Event{Kind: Exited, Signal: 9})
		return
	}
}

// nonsense is what no honest worker says: unknown pids, everything twice.
func (w *world) nonsense() {
	kinds := []Kind{BegunSaid, HelloSaid, ReadySaid, BeatHeard, DrainingSaid, Exited, Spawned}
	w.step(Event{Kind: kinds[w.rng.IntN(len(kinds))], PID: 1 + w.rng.IntN(99), Slot: 1 + w.rng.IntN(9)})
	for _, p := range w.order {
		if p.alive && p.saidReady {
			w.step(Event{Kind: ReadySaid, PID: p.pid})
			return
		}
	}
}

func (w *world) die(p *proc, in time.Duration, ev Event) {
	if p.alive {
		p.alive = false
		w.post(in, p, ev)
	}
}

func (w *world) leaveSoon(p *proc) {
	if !p.deaf {
		w.die(p, w.between(0, 3*time.Second), Event{Kind: Exited})
	}
}
