package httpwatch

import (
	"sync/atomic"
	"time"
)

// waiting adds up the time of one kind of waiting for the client. It is written
// by the handler and read by the watch.
type waiting struct {
	state atomic.Int64 // the sum; while it waits, the complement of since minus the sum: one number, so that one look is exact
	since atomic.Int64 // when the wait began or last made progress; 0 = it does not wait
}

func (w *waiting) begin(now int64) {
	if sum := w.state.Load(); sum >= 0 {
		w.since.Store(max(now, 1))
		w.state.Store(^(now - sum))
	}
}

func (w *waiting) end(now int64) {
	if s := w.state.Load(); s < 0 {
		w.state.Store(now - ^s)
		w.since.Store(0)
	}
}

func (w *waiting) waits() bool { return w.state.Load() < 0 }

// total is the time waited until now.
func (w *waiting) total(now int64) int64 {
	if s := w.state.Load(); s < 0 {
		return max(now-^s, 0)
	} else {
		return s
	}
}

func (r *request) waits() bool { return r.reading.waits() || r.writing.waits() }

// active is how long the handler has run, waiting for the client left out.
func (r *request) active(now int64) int64 {
	return now - r.start - r.reading.total(now) - r.writing.total(now)
}

func (r *request) beginWait(w *waiting) { w.begin(r.watch.now()) }

func (r *request) endWait(w *waiting) {
	w.end(r.watch.now())
	if r.parked.Load() {
		r.watch.table.unpark(r)
	}
}

// progress is what the sweep remembers of a client that is waited for.
type progress struct{ read, written moves }

// moves is how much a connection has carried in one direction, and since when it
// has not carried more.
type moves struct {
	bytes uint64
	known bool
	at    int64
}

// stalled is how long a wait that began at since has made no progress. One Read
// or Write may take many minutes in which the client is busy (a large file, a
// slow TLS record), so its length says nothing; the bytes the connection has
// carried do, if they can be told.
func (m *moves) stalled(now, since int64, bytes uint64, ok bool) time.Duration {
	if ok && (!m.known || bytes != m.bytes) {
		m.bytes, m.known, m.at = bytes, true, now
	}
	return time.Duration(now - max(since, m.at))
}

// judgeClient closes the connection of a client that has made no progress for
// as long as it may. It is no fault of the handler's, so there is no incident.
func (r *request) judgeClient(now int64) {
	opt := r.watch.opt
	if r.progress == nil {
		r.progress = &progress{}
	}
	if since := r.reading.since.Load(); since != 0 && opt.ReadTimeout > 0 {
		received, _, ok := r.carried()
		if r.progress.read.stalled(now, since, received, ok) >= opt.ReadTimeout {
			r.closeSlow()
			return
		}
	}
	if since := r.writing.since.Load(); since != 0 && opt.WriteTimeout > 0 {
		_, acked, ok := r.carried()
		if r.progress.written.stalled(now, since, acked, ok) >= opt.WriteTimeout {
			r.closeSlow()
		}
	}
}

// carried is what r's connection has received and what its peer has taken. An
// HTTP/2 connection says nothing about one of its streams.
func (r *request) carried() (received, acked uint64, ok bool) {
	if conn := r.conn(); conn != nil && !r.http2 {
		return carried(conn)
	}
	return 0, 0, false
}

func (r *request) closeSlow() {
	if r.cutSlow.Swap(true) {
		return
	}
	r.watch.slowClients.Add(1) // before the handler can see it
	if !r.cut(false) {
		r.watch.slowClients.Add(^uint64(0))
	}
}
