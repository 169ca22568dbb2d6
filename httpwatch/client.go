package httpwatch

import (
	"net/http"
	"sync/atomic"
	"time"
)

// progress is what the sweep remembers of a client that is waited for.
type progress struct {
	acked  uint64 // bytes it had taken when last looked at
	known  bool
	at     int64 // when it last took some
	closed atomic.Bool
}

// judgeClient closes the connection of a client that has made no progress for
// as long as it may. It is no fault of the handler's, so there is no incident.
func (r *request) judgeClient(now int64) {
	opt := r.watch.opt
	if since := r.reading.since.Load(); since != 0 && opt.ReadTimeout > 0 && now-since >= int64(opt.ReadTimeout) {
		r.closeSlow()
		return
	}
	since := r.writing.since.Load()
	if since == 0 || opt.WriteTimeout == 0 {
		return
	}
	// One Write may take many minutes in which the client reads steadily (a
	// large file), so its length says nothing; the bytes the client has
	// acknowledged do.
	if acked, ok := ackedBytes(r.conn()); ok && (!r.progress.known || acked != r.progress.acked) {
		r.progress.acked, r.progress.known, r.progress.at = acked, true, now
	}
	if now-max(since, r.progress.at) >= int64(opt.WriteTimeout) {
		r.closeSlow()
	}
}

func (r *request) closeSlow() {
	if r.progress.closed.Swap(true) {
		return
	}
	r.watch.slowClients.Add(1)
	r.cut()
}

// cut ends the exchange without another byte. It may be called while the handler
// writes, and does not wait for it.
func (r *request) cut() {
	switch {
	case r.req.ProtoMajor >= 2: // other streams share the connection; this resets ours
		past := time.Unix(1, 0)
		_ = http.NewResponseController(r.rw).SetReadDeadline(past)
		_ = http.NewResponseController(r.rw).SetWriteDeadline(past)
	case r.conn() != nil:
		_ = r.conn().Close()
	default:
		if conn, _, err := http.NewResponseController(r.rw).Hijack(); err == nil {
			_ = conn.Close()
		}
	}
}
