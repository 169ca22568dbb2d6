package httpwatch

import (
	"net/http"
	"runtime/pprof"
	"sync"
	"sync/atomic"
)

// request is one request in flight, or one Task. It is made for one request and
// never used again: a handler that keeps the writer longer than it may must not
// reach the next client.
type request struct {
	watch *Watch
	rw    http.ResponseWriter // the server's; nil for a Task
	req   *http.Request       // the handler's; nil for a Task
	label string              // of a Task
	start int64
	ctx   lazyContext
	body  body

	connection *connection // nil if it is not known

	// Guarded by table.mu.
	inTable     bool
	unscheduled bool // it is in no queue of a limit
	overdue     bool
	stuck       bool // overdue, and its client has been dealt with
	exempt      bool
	limit, due  int64
	movedAt     int // place in the heap, plus one
	links       [2]link
	seat        *seat
	id          uint64 // of its incident

	// Guarded by clerk.mu.
	reported, returnedEarly bool

	// How long it has waited for the client, and since when it does.
	reading, writing waiting
	progress         progress // used by the sweep alone

	mu        sync.Mutex  // guards all below, and rw
	header    http.Header // the handler's own; nil until it asks for it
	committed bool        // the status is with the server
	over      bool        // the watch has answered: nothing of the handler's goes out any more
	left      bool        // the handler has returned
	hijacked  bool
	unsent    int // bytes that the server has surely still in its buffer
}

// waiting adds up the time of one kind of waiting for the client.
type waiting struct {
	since atomic.Int64 // 0 = it does not wait
	sum   atomic.Int64
}

func (w *waiting) begin(now int64) { w.since.Store(now) }

func (w *waiting) end(now int64) {
	if since := w.since.Swap(0); since != 0 {
		w.sum.Add(now - since)
	}
}

// total is the time waited until now.
func (w *waiting) total(now int64) int64 {
	sum := w.sum.Load()
	if since := w.since.Load(); since != 0 && since < now {
		sum += now - since
	}
	return sum
}

func (r *request) waits() bool { return r.reading.since.Load() != 0 || r.writing.since.Load() != 0 }

// active is how long the handler has run, waiting for the client left out.
func (r *request) active(now int64) int64 {
	return now - r.start - r.reading.total(now) - r.writing.total(now)
}

// Handler returns next under watch.
func (w *Watch) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) { w.serve(next, rw, req) })
}

func (w *Watch) serve(next http.Handler, rw http.ResponseWriter, req *http.Request) {
	r, writer := newRequest(w, rw)
	r.start = w.now()
	r.ctx = lazyContext{Context: req.Context(), request: r}
	r.req = req.WithContext(&r.ctx)
	if req.Body != nil && req.Body != http.NoBody {
		r.body = body{ReadCloser: req.Body, request: r}
		r.req.Body = &r.body
	}
	r.connection, _ = req.Context().Value(connKey{}).(*connection)
	w.table.enter(r, w.limitOf(req))
	r.ctx.labels = r.seat.labels
	pprof.SetGoroutineLabels(r.seat.labels)
	defer r.leave(req)
	next.ServeHTTP(writer, r.req)
	r.returned()
}

// leave runs when the handler has returned or panicked. A panic goes on: the
// server logs it with its stack and ends the connection, as without a watch.
func (r *request) leave(req *http.Request) {
	r.mu.Lock()
	r.left = true
	r.mu.Unlock()
	if r.watch.table.leave(r) {
		r.watch.clerk.recovered(r)
	}
	r.body.finish(r.watch.opt.ReadTimeout)
	r.ctx.end()
	pprof.SetGoroutineLabels(req.Context())
}

// returned hands on what a handler has left in its header map: all of it when
// nothing was written, trailers otherwise.
func (r *request) returned() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.hijacked || r.header == nil {
		return
	}
	if !r.committed {
		r.copyHeader()
		return
	}
	trailers(r.rw.Header(), r.header)
}
