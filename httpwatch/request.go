package httpwatch

import (
	"context"
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
	req   *http.Request       // the handler's, which may change it
	start int64
	ctx   lazyContext
	body  body

	// Of the request as it came; path is the label of a Task.
	method, path, remote string
	http2                bool
	labelled             bool        // the goroutine had labels of the context before
	well                 bool        // the handler has returned, and not by a panic
	connection           *connection // nil if it is not known

	// Guarded by table.mu.
	inTable    bool
	overdue    bool
	stuck      bool // overdue, and its client has been dealt with
	exempt     bool
	limit, due int64
	class      *class // in whose queue it is, nil if in none
	movedAt    int    // place in the heap, plus one
	links      [2]link
	seat       *seat

	// Guarded by clerk.mu.
	id            uint64 // of its incident; 0 = not reported
	returnedEarly bool

	// How long it has waited for the client, and since when it does.
	reading, writing waiting
	parked           atomic.Bool // its time is up as soon as it does not wait any more
	progress         *progress   // used by the sweep alone
	cutSlow          atomic.Bool // the sweep has closed the connection

	mu        sync.Mutex  // guards all below, and rw
	header    http.Header // the handler's own; nil until it asks for it
	trailers  bool        // some were announced
	committed bool        // the status is with the server
	over      bool        // the watch has answered: nothing of the handler's goes out any more
	left      bool        // the handler has returned
	hijacked  bool
	unsent    int // bytes that the server has surely still in its buffer

	// ending is held while the watch cuts, beside a handler that may be in a
	// write and so hold mu. It is taken after mu.
	ending   sync.Mutex
	released bool // the response is not the handler's any more, so not to be cut; guarded by ending
}

// Handler returns next under watch.
func (w *Watch) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) { w.serve(next, rw, req) })
}

func (w *Watch) serve(next http.Handler, rw http.ResponseWriter, req *http.Request) {
	r, writer := newRequest(w, rw)
	ctx := req.Context()
	r.start = w.now()
	r.method, r.path, r.remote, r.http2 = req.Method, req.URL.Path, req.RemoteAddr, req.ProtoMajor >= 2
	r.connection, _ = ctx.Value(connKey{}).(*connection)
	r.ctx.Context, r.ctx.request = ctx, r
	r.req = req.WithContext(&r.ctx)
	if req.Body != nil && req.Body != http.NoBody {
		r.body.ReadCloser, r.body.request = req.Body, r
		r.req.Body = &r.body
	}
	w.table.enter(r, w.limitOf(req))
	r.sit(ctx)
	defer r.leave(req)
	next.ServeHTTP(writer, r.req)
	r.well = true
}

// sit labels the goroutine with r's seat, next to the labels that it has from
// ctx.
func (r *request) sit(ctx context.Context) {
	r.ctx.labels = r.seat.labels
	pprof.ForLabels(ctx, func(string, string) bool { r.labelled = true; return false })
	if r.labelled {
		r.ctx.labels = pprof.WithLabels(ctx, pprof.Labels(labelKey, r.seat.name))
	}
	pprof.SetGoroutineLabels(r.ctx.labels)
}

var background = context.Background()

// rise gives the goroutine back the labels that it had.
func (r *request) rise() {
	if r.labelled {
		pprof.SetGoroutineLabels(r.ctx.Context)
		return
	}
	pprof.SetGoroutineLabels(background)
}

// leave runs when the handler has returned or panicked. A panic goes on: the
// server logs it with its stack and ends the connection, as without a watch.
func (r *request) leave(req *http.Request) {
	r.mu.Lock()
	if r.well {
		r.handOn()
	}
	r.left = true
	hijacked := r.hijacked
	r.release()
	r.mu.Unlock()
	r.rise()
	if r.watch.table.leave(r) {
		r.watch.clerk.recovered(r)
	}
	if !hijacked {
		r.body.finish(r.watch.opt.ReadTimeout)
	}
	r.ctx.end()
	// The handler had a copy. Of what it has found out the server wants the form,
	// to remove its files, and middleware the pattern, to write it to its log.
	if req.MultipartForm == nil {
		req.MultipartForm = r.req.MultipartForm
	}
	if r.req.Pattern != "" {
		req.Pattern = r.req.Pattern
	}
}

// release waits for a cut that is under way and prevents any other.
func (r *request) release() {
	r.ending.Lock()
	r.released = true
	r.ending.Unlock()
}

// handOn gives the server what a handler has left in its header map: all of it
// when nothing was written, trailers otherwise.
func (r *request) handOn() {
	switch {
	case r.over || r.hijacked:
	case !r.committed:
		r.commit(http.StatusOK)
	case r.header != nil && (r.http2 || r.unsent >= buffered || r.trailers):
		// A short response that announces none has a length, so it can have none.
		trailers(r.rw.Header(), r.header)
	}
}
