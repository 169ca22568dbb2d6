package httpwatch

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

// insert puts r in its place by start, from the end.
func (q *queue) insert(r *request) {
	after := q.tail
	for after != nil && after.start > r.start {
		after = after.links[byStart].prev
	}
	if after == q.tail {
		q.push(r, byStart)
		return
	}
	before := q.head
	if after != nil {
		before = after.links[byStart].next
		after.links[byStart].next = r
	} else {
		q.head = r
	}
	r.links[byStart] = link{prev: after, next: before}
	before.links[byStart].prev = r
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
