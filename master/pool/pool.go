package pool

import "time"

// MaxWorkers is the largest wish that is taken; more is a typing error.
const MaxWorkers = 1024

// Limits are the settings that the pool goes by.
type Limits struct {
	Workers int           // the wish at the start
	Surge   int           // processes beyond the wish, at least 1
	Boot    time.Duration // longest from Spawn to ready
	Silence time.Duration // longest without a beat, for those that beat; 0 = not judged
	Drain   time.Duration // longest a drain may take
	Grace   time.Duration // from a request's timeout until its worker is condemned
	Alive   time.Duration // a worker is ready when it has been alive for this; 0 = only its word counts
	Staged  bool          // PID says when it has become its app (BegunSaid); it is alive from then on
	Word    bool          // one that has said hello is waited for instead, until it says ready

	Delay time.Duration // from a gentle stop until the workers are told

	// When a healthy worker is replaced; 0 = never.
	MaxRequests uint64        // requests it has answered, by its own count
	Jitter      uint64        // up to this many more, different for each worker
	MaxMemory   int64         // bytes
	MaxAge      time.Duration // since it was ready
}

const (
	abortGrace  = time.Second            // from Abort to Kill: time to print the stacks
	recallGrace = 500 * time.Millisecond // from Recall to Stop
	quickGrace  = 2 * time.Second        // from Stop to Kill
	secondLook  = 100 * time.Millisecond // from the first suspicion of silence to Abort
	unkillable  = 5 * time.Second        // from Kill until a stop no longer waits for the exit
	firstTries  = 3                      // failed starts in a row before the first ready one that end the master
	sleepMargin = 250 * time.Millisecond // a wake-up later than this was our own sleep, not theirs
)

// Pool is the state of all workers. The zero Pool is not usable; see New.
type Pool struct {
	limits  *Limits // those of gen
	wish    int
	gen     int
	slots   []slot // slots[0] is slot 1
	workers []*worker
	byPID   map[int]*worker

	everReady bool // a worker of this master has been ready once
	failures  int  // failed starts in a row, all slots, before everReady
	stopping  bool // a stop was asked for, or the first generation failed
	leaving   bool // the workers have been told
	leaveAt   time.Duration
	roll      *roll // the reload that is under way
	exited    bool  // Exit has been returned; nothing happens any more
	exitCode  int
	exitWhy   string

	last     time.Duration // time of the last step
	looked   time.Duration // time of the last step that converged; a beat does not
	promised time.Duration // what Deadline last said
	nearer   bool          // a beat has brought a deadline nearer than that

	spawned uint64
	exits   [causes]uint64
	effects []Effect
}

// New returns a pool that has started nothing yet; the first step does.
func New(l Limits) *Pool {
	return &Pool{limits: &l, wish: l.Workers, gen: 1, byPID: map[int]*worker{}}
}

// Step takes one event and returns what is to be done, in this order. The
// result is valid until the next Step. now never goes back.
func (p *Pool) Step(now time.Duration, ev Event) []Effect {
	p.effects = p.effects[:0]
	if p.exited {
		return nil
	}
	p.forgive(now)
	p.last = now
	if ev.Kind == BeatHeard && !p.beatHeard(now, ev) {
		return nil
	}
	p.take(now, ev)
	p.looked = now
	p.converge(now)
	return p.effects
}

func (p *Pool) take(now time.Duration, ev Event) {
	switch ev.Kind {
	case Ticked:
		p.judge(now)
	case Spawned:
		p.onSpawned(now, ev)
	case SpawnFailed:
		p.onSpawnFailed(now, ev)
	case BegunSaid:
		p.onBegun(now, ev)
	case HelloSaid:
		p.onHello(ev)
	case ReadySaid:
		p.onReady(now, ev)
	case OverdueSaid:
		p.onOverdue(now, ev)
	case RecoveredSaid:
		p.onRecovered(now, ev)
	case DrainingSaid:
		p.onDraining(now, ev)
	case Exited:
		p.onExited(now, ev)
	case ScaleAsked:
		p.onScale(ev)
	case StopAsked:
		p.onStop(now, ev)
	case ReloadAsked:
		p.onReload(now, ev)
	case Measured:
		p.onMeasured(ev)
	}
}

// forgive restarts no clock and skips no deadline; it moves all of them on by
// the time that the master itself was stopped, suspended or starved, which it
// knows from waking later than it meant to. Without this a master that gets
// SIGCONT would find every worker silent and kill them all.
func (p *Pool) forgive(now time.Duration) {
	if p.promised == 0 || now <= p.promised+sleepMargin {
		return
	}
	gap := now - p.last
	for _, w := range p.workers {
		w.shift(gap)
	}
	if p.roll != nil {
		p.roll.moved += gap
	}
	p.leaveAt += gap
	p.promised = 0
}

func (p *Pool) do(e Effect) { p.effects = append(p.effects, e) }

// about makes an effect that concerns w.
func about(d Do, w *worker) Effect {
	return Effect{Do: d, Slot: w.slot, PID: w.pid, Gen: w.gen, Cause: w.cause, Why: w.why}
}

// slot returns the state of slot number n, which may be new.
func (p *Pool) slot(n int) *slot {
	for len(p.slots) < n {
		p.slots = append(p.slots, slot{})
	}
	return &p.slots[n-1]
}

func (p *Pool) remove(w *worker) {
	delete(p.byPID, w.pid)
	for i, x := range p.workers {
		if x == w {
			p.workers = append(p.workers[:i], p.workers[i+1:]...)
			return
		}
	}
}
