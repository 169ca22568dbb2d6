package pool

import "time"

// Status is a copy of what the pool knows, for people and for tests.
type Status struct {
	Wanted     int
	Generation int
	EverReady  bool
	Stopping   bool
	Rolling    bool           // a reload is under way
	Workers    []WorkerStatus // by slot, the oldest process of a slot first
	Spawned    uint64
	Exits      map[string]uint64 // by cause
}

// WorkerStatus is one process.
type WorkerStatus struct {
	Slot, PID, Gen int
	Phase          Phase
	Started        time.Duration
	Restarts       int // processes this slot has had before
	Beat           Beat
}

// Wish is the number of workers that are wished for.
func (p *Pool) Wish() int { return p.wish }

// Ready counts the workers that are ready.
func (p *Pool) Ready() int {
	n := 0
	for _, w := range p.workers {
		if w.phase == Ready {
			n++
		}
	}
	return n
}

// Status copies the state. It allocates; it is meant for a request, not for
// each step.
func (p *Pool) Status() Status {
	s := Status{Wanted: p.wish, Generation: p.gen, EverReady: p.everReady, Stopping: p.stopping, Rolling: p.roll != nil,
		Spawned: p.spawned, Exits: map[string]uint64{}}
	for c := Crash; c < causes; c++ {
		s.Exits[c.String()] = p.exits[c]
	}
	for n := 1; n <= len(p.slots); n++ {
		for _, w := range p.workers {
			if w.slot == n && w.pid != 0 {
				s.Workers = append(s.Workers, p.workerStatus(w))
			}
		}
	}
	return s
}

func (p *Pool) workerStatus(w *worker) WorkerStatus {
	return WorkerStatus{Slot: w.slot, PID: w.pid, Gen: w.gen, Phase: w.phase, Started: w.started,
		Restarts: max(p.slots[w.slot-1].spawns-1, 0), Beat: w.beat}
}

// Stopping says whether a stop was asked for or the first generation failed.
func (p *Pool) Stopping() bool { return p.stopping }

// Leaving says whether the workers have been told so.
func (p *Pool) Leaving() bool { return p.leaving }

// Rolling says whether a reload is under way.
func (p *Pool) Rolling() bool { return p.roll != nil }

// Generation is the one in force.
func (p *Pool) Generation() int { return p.gen }

// Started says that the first generation is there: each wished slot has a ready
// worker, or at least one has and the others have failed to start once.
func (p *Pool) Started() bool {
	if !p.everReady && p.wish > 0 || p.stopping {
		return false
	}
	for n := 1; n <= p.wish; n++ {
		if p.slot(n).failures == 0 && !p.readyIn(n) {
			return false
		}
	}
	return true
}

// readyIn says that slot has a ready worker that may stay.
func (p *Pool) readyIn(slot int) bool {
	for _, w := range p.workers {
		if w.slot == slot && w.phase == Ready && !w.condemned && p.current(w) {
			return true
		}
	}
	return false
}

// served says that slot has a ready worker of the generation in force, if only
// until its successor is ready.
func (p *Pool) served(slot int) bool {
	for _, w := range p.workers {
		if w.slot == slot && w.phase == Ready && p.current(w) {
			return true
		}
	}
	return false
}
