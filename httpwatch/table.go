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
	all      queue      // by start, the oldest first
	limits   []*class
	moved    movedHeap
	seats    []*seat // free ones, used in turn
	seatsOut int
	inFlight int
	stuck    int
	finished uint64
	lastID   uint64
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
}

const labelKey = "fugue.request"

func (t *table) init(w *Watch) { t.watch, t.sweepEvery = w, sweepInterval(w.opt) }

// enter adds r with the given limit, 0 for none.
func (t *table) enter(r *request, limit time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.seat = t.takeSeat()
	r.inTable = true
	t.inFlight++
	r.connection.carry()
	t.all.push(r, byStart)
	if limit > 0 {
		r.limit = int64(limit)
		t.classOf(r.limit).queue.push(r, byLimit)
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
	t.all.remove(r, byStart)
	t.unscheduleLocked(r)
	t.seats = append(t.seats, r.seat)
	if r.stuck {
		t.stuck--
	}
	r.connection.drop(r.stuck)
	return r.overdue
}

// stick counts r as stuck, unless its handler has returned in the meantime.
func (t *table) stick(r *request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.inTable {
		r.stuck = true
		t.stuck++
		r.connection.stick()
	}
}

// takeSeat returns the seat that has been free for longest, so that goroutines
// which a finished request left behind are not soon taken for another's.
func (t *table) takeSeat() *seat {
	const spare = 64
	if len(t.seats) > spare {
		s := t.seats[0]
		copy(t.seats, t.seats[1:])
		t.seats = t.seats[:len(t.seats)-1]
		return s
	}
	t.seatsOut++
	name := strconv.Itoa(t.seatsOut)
	return &seat{name: name, labels: pprof.WithLabels(context.Background(), pprof.Labels(labelKey, name))}
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
	case r.limit > 0 && !r.unscheduled:
		t.classOf(r.limit).queue.remove(r, byLimit)
	}
	r.unscheduled = true
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
	r.limit, r.exempt = int64(max(limit, 0)), limit <= 0
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
	for r := t.all.head; r != nil; r = r.links[byStart].next {
		if !r.exempt {
			s.Oldest = time.Duration(now - r.start)
			break
		}
	}
	if due := t.nextLocked(); due != 0 {
		s.Due = max(0, time.Duration(due-now))
	}
	return s
}

// queue is a doubly linked list through the requests themselves.
type queue struct{ head, tail *request }

// which of a request's links a queue uses.
const (
	byStart = iota
	byLimit
)

type link struct{ prev, next *request }

func (q *queue) push(r *request, by int) {
	r.links[by] = link{prev: q.tail}
	if q.tail == nil {
		q.head = r
	} else {
		q.tail.links[by].next = r
	}
	q.tail = r
}

func (q *queue) remove(r *request, by int) {
	l := r.links[by]
	if l.prev == nil {
		q.head = l.next
	} else {
		l.prev.links[by].next = l.next
	}
	if l.next == nil {
		q.tail = l.prev
	} else {
		l.next.links[by].prev = l.prev
	}
	r.links[by] = link{}
}

// movedHeap orders by due; a request knows its place in it, plus one.
type movedHeap []*request

func (h movedHeap) Len() int           { return len(h) }
func (h movedHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h movedHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].movedAt, h[j].movedAt = i+1, j+1
}
func (h *movedHeap) Push(x any) {
	r := x.(*request)
	*h = append(*h, r)
	r.movedAt = len(*h)
}
func (h *movedHeap) Pop() any {
	old := *h
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	r.movedAt = 0
	return r
}
