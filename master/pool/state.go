package pool

import (
	"fmt"
	"time"
)

// State is a Pool that can be written down, for the image of the master that
// comes after this one. Names and meanings are kept between versions; a field
// that is added must mean "as before" when it is zero.
type State struct {
	Now        time.Duration     `json:"now"` // of the clock that all times are on
	Wish       int               `json:"wish"`
	Generation int               `json:"generation"`
	Limits     Limits            `json:"limits"`
	Workers    []WorkerState     `json:"workers"`
	Slots      []SlotState       `json:"slots"`
	EverReady  bool              `json:"ever_ready"`
	Spawned    uint64            `json:"spawned"`
	Exits      map[string]uint64 `json:"exits"`
}

// WorkerState is one process.
type WorkerState struct {
	Slot      int           `json:"slot"`
	PID       int           `json:"pid"`
	Gen       int           `json:"generation"`
	Limits    Limits        `json:"limits"`
	Phase     string        `json:"phase"`
	Cause     string        `json:"cause,omitempty"`
	Why       string        `json:"why,omitempty"`
	Started   time.Duration `json:"started"`
	Since     time.Duration `json:"since"`
	Heard     time.Duration `json:"heard"`
	StopAt    time.Duration `json:"stop_at,omitempty"`
	KillAt    time.Duration `json:"kill_at,omitempty"`
	Alive     time.Duration `json:"alive,omitempty"`
	Begun     bool          `json:"begun,omitempty"`
	Greets    bool          `json:"greets,omitempty"`
	Beats     bool          `json:"beats,omitempty"`
	Condemned bool          `json:"condemned,omitempty"`
	Discarded bool          `json:"discarded,omitempty"`
	Beat      Beat          `json:"beat"`
	Stuck     []StuckState  `json:"stuck,omitempty"`
}

// StuckState is a request whose handler runs on.
type StuckState struct {
	ID  string        `json:"id"`
	Due time.Duration `json:"due"`
}

// SlotState is a worker's place.
type SlotState struct {
	Failures  int           `json:"failures,omitempty"`
	NotBefore time.Duration `json:"not_before,omitempty"`
	Spawns    int           `json:"spawns"`
}

// Save writes the pool down. A reload must not be under way, nor a stop. Workers
// that were asked for and have no process are left out: Restore's first step
// asks for them again.
func (p *Pool) Save(now time.Duration) State {
	p.forgive(now) // or the next image would judge by a time in which this one slept
	p.last = now
	s := State{Now: now, Wish: p.wish, Generation: p.gen, Limits: *p.limits, EverReady: p.everReady,
		Spawned: p.spawned, Exits: p.Status().Exits, Workers: []WorkerState{}, Slots: []SlotState{}}
	for _, w := range p.workers {
		if w.pid != 0 {
			s.Workers = append(s.Workers, w.save())
		}
	}
	for _, x := range p.slots {
		s.Slots = append(s.Slots, SlotState{x.failures, x.notBefore, x.spawns})
	}
	return s
}

func (w *worker) save() WorkerState {
	s := WorkerState{Slot: w.slot, PID: w.pid, Gen: w.gen, Limits: *w.limits, Phase: w.phase.String(), Cause: w.cause.String(), Why: w.why,
		Started: w.started, Since: w.since, Heard: w.heard, StopAt: w.stopAt, KillAt: w.killAt, Alive: w.alive, Begun: w.begun, Greets: w.greets,
		Beats: w.beats, Condemned: w.condemned, Discarded: w.discarded, Beat: w.beat}
	for _, x := range w.stuck {
		s.Stuck = append(s.Stuck, StuckState{x.id, x.due})
	}
	return s
}

// Restore is the pool that s was written down from. It checks what an older or
// newer version could have got wrong; nothing has happened yet then.
func Restore(s State) (*Pool, error) {
	if s.Generation < 1 || s.Wish < 0 || s.Wish > MaxWorkers || len(s.Slots) > MaxWorkers {
		return nil, fmt.Errorf("a pool of %d workers, %d slots, generation %d makes no sense", s.Wish, len(s.Slots), s.Generation)
	}
	p := New(s.Limits)
	p.wish, p.gen, p.everReady, p.spawned = s.Wish, s.Generation, s.EverReady, s.Spawned
	p.last, p.looked = s.Now, s.Now
	for c := Crash; c < causes; c++ {
		p.exits[c] = s.Exits[c.String()]
	}
	for _, x := range s.Slots {
		p.slots = append(p.slots, slot{x.Failures, x.NotBefore, x.Spawns})
	}
	for _, x := range s.Workers {
		w, err := x.restore()
		if err != nil {
			return nil, err
		}
		p.slot(w.slot)
		p.workers = append(p.workers, w)
		p.byPID[w.pid] = w
	}
	return p, nil
}

func (s WorkerState) restore() (*worker, error) {
	phase, cause := indexOf(phaseNames[:], s.Phase), indexOf(causeNames[:], s.Cause)
	if phase < 0 || cause < 0 || s.PID <= 0 || s.Slot < 1 || s.Slot > MaxWorkers {
		return nil, fmt.Errorf("worker %d (pid %d) in phase %q for the cause %q makes no sense", s.Slot, s.PID, s.Phase, s.Cause)
	}
	w := &worker{slot: s.Slot, pid: s.PID, gen: s.Gen, limits: &s.Limits, phase: Phase(phase), cause: Cause(cause), why: s.Why,
		started: s.Started, since: s.Since, heard: s.Heard, stopAt: s.StopAt, killAt: s.KillAt, alive: s.Alive, begun: s.Begun, greets: s.Greets,
		beats: s.Beats, condemned: s.Condemned, discarded: s.Discarded, beat: s.Beat}
	for _, x := range s.Stuck {
		w.stuck = append(w.stuck, stuck{x.ID, x.Due})
	}
	return w, nil
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}
