package httpwatch

import (
	"container/heap"
	"context"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"
)

// table holds every request in flight, ordered so that neither the oldest nor
// the next that is due has to be looked for. Requests with the same limit fall
// due in the order in which they came, so each limit has a queue; those whose
// limit was moved stand in a heap. A request costs the same few pointers
// whatever the number of its neighbours, and no timer.
type table struct {
	watch *Watch

	mu       sync.Mutex // guards all below
	all      queue      // by start, the oldest first; without those exempt
	exempt   queue      // by start, too
	limits   []*class
	moved    movedHeap
	seats    seats
	inFlight int
	stuck    int
	finished uint64
	timer    *time.Timer
	armed    int64 // when the timer fires; 0 = it does not
	sweeping bool

	sweepEvery time.Duration // constant
}

// class is the queue of one limit.
type class struct {
	limit int64
	queue queue
}

// seat is what a request sits on while it is in flight: labels that name it in
// a goroutine profile. They are made once and used again, for making them costs
// more than the rest of the table.
type seat struct {
	name   string
	labels context.Context
	next   *seat
}

const labelKey = "fugue.request"

// seats are the free ones, used in turn: a goroutine that a finished request has
// left behind still bears its label and is not soon to be taken for another's.
type seats struct {
	first, last *seat
	free, made  int
}

const spareSeats = 64

func (s *seats) take() *seat {
	if s.free <= spareSeats {
		s.made++
		name := strconv.Itoa(s.made)
		return &seat{name: name, labels: pprof.WithLabels(background, pprof.Labels(labelKey, name))}
	}
	one := s.first
	s.first, one.next = one.next, nil
	s.free--
	return one
}

func (s *seats) giveBack(one *seat) {
	if s.free == 0 {
		s.first = one
	} else {
		s.last.next = one
	}
	s.last = one
	s.free++
}

func (t *table) init(w *Watch) { t.watch, t.sweepEvery = w, sweepInterval(w.opt) }

// enter adds r with the given limit, 0 for none.
func (t *table) enter(r *request, limit time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.seat = t.seats.take()
	r.inTable = true
	t.inFlight++
	r.connection.carry()
	t.all.push(r, byStart)
	if limit > 0 {
		r.limit = int64(limit)
		r.class = t.classOf(r.limit)
		r.class.queue.push(r, byLimit)
		t.armLocked(r.start + r.limit)
	}
	t.sweepLocked()
}

// leave takes r out and says whether it was overdue; false, too, if it had left.
func (t *table) leave(r *request) (wasOverdue bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !r.inTable {
		return false
	}
	r.inTable = false
	t.inFlight--
	t.finished++
	t.queueOf(r).remove(r, byStart)
	t.unscheduleLocked(r)
	t.seats.giveBack(r.seat)
	if r.stuck {
		t.stuck--
	}
	r.connection.drop(r.stuck)
	return r.overdue
}

// stick counts r as stuck, unless its handler has returned in the meantime.
func (t *table) stick(r *request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.inTable {
		r.stuck = true
		t.stuck++
		r.connection.stick()
	}
	return r.stuck
}

// queueOf is that of its start.
func (t *table) queueOf(r *request) *queue {
	if r.exempt {
		return &t.exempt
	}
	return &t.all
}

func (t *table) classOf(limit int64) *class {
	for _, c := range t.limits {
		if c.limit == limit {
			return c
		}
	}
	c := &class{limit: limit}
	t.limits = append(t.limits, c)
	return c
}

// unscheduleLocked forgets when r is due.
func (t *table) unscheduleLocked(r *request) {
	switch {
	case r.movedAt > 0:
		heap.Remove(&t.moved, r.movedAt-1)
	case r.class != nil:
		r.class.queue.remove(r, byLimit)
		r.class = nil
	}
	r.parked.Store(false)
}

// moveLocked makes r due at another time than its queue says.
func (t *table) moveLocked(r *request, due int64) {
	t.unscheduleLocked(r)
	r.due = due
	heap.Push(&t.moved, r)
	t.armLocked(due)
}

// setLimit changes the limit of r, counted from its start; 0 takes it away.
func (t *table) setLimit(r *request, limit time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !r.inTable || r.overdue {
		return false
	}
	t.unscheduleLocked(r)
	r.limit = int64(limit)
	if exempt := limit == 0; exempt != r.exempt {
		t.queueOf(r).remove(r, byStart)
		r.exempt = exempt
		t.queueOf(r).insert(r)
	}
	if limit > 0 {
		t.moveLocked(r, r.start+r.limit)
	}
	return true
}

func (t *table) snapshot() Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.watch.now()
	s := Snapshot{InFlight: t.inFlight, Stuck: t.stuck, Requests: t.finished, Due: -1}
	if r := t.all.head; r != nil {
		s.Oldest = time.Duration(now - r.start)
	}
	if due := t.nextLocked(); due != 0 {
		s.Due = max(0, time.Duration(due-now))
	}
	return s
}
