package httpwatch

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	answerLimit = 5 * time.Second       // for the 504 to reach a client whose receive window is shut
	streamLimit = time.Second           // the same of HTTP/2, where it also ends a stream whose handler does not
	lockPause   = 10 * time.Millisecond // for a write that waits for its client to end after all
	lockPauses  = 100                   // for a write that only wants the processor
)

// expire deals with a request that is overdue: its client is answered or cut,
// its context ends, and the incident is handed to the clerk. It runs on a
// goroutine of its own, beside the handler.
func (r *request) expire() {
	w := r.watch
	in := Incident{Method: r.method, Path: r.path, Remote: r.remote, At: time.Now(), Age: time.Duration(w.now() - r.start)}
	if r.rw != nil {
		status, taken := r.answer()
		if !taken {
			return // it was finished or hijacked at this very moment
		}
		in.Status = status
	}
	r.ctx.timeOut()
	if stuck := w.table.stick(r); !stuck && r.rw == nil {
		return
	}
	w.timedOut.Add(1)
	w.clerk.overdue(r, in)
}

// answer takes the response out of the handler's hands, if it is still there,
// and returns the status that the client gets, 0 if none.
func (r *request) answer() (status int, taken bool) {
	if !r.lock() {
		r.ctx.timeOut()
		return 0, r.cut(false) // a write began this moment and does not end: the client is slow as well
	}
	defer r.mu.Unlock()
	if r.left || r.hijacked {
		return 0, false
	}
	r.over = true
	r.ctx.timeOut() // before the cut, which ends the server's context with another cause
	if status = r.watch.opt.Status; r.committed || status == NoAnswer || !r.write(status) {
		r.cut(true)
		return 0, true
	}
	r.shut()
	return status, true
}

// lock takes the writer, unless the handler is in a write that waits for the
// client. That is rare: then its clock would stand still. A write that waits for
// the processor only is waited for.
func (r *request) lock() bool {
	if r.mu.TryLock() {
		return true
	}
	// To stand in the queue for it: one that only tries may never get it from a
	// handler that writes all the time.
	locked, gaveUp := make(chan struct{}), make(chan struct{})
	go func() {
		r.mu.Lock()
		select {
		case locked <- struct{}{}: // it is the other's to unlock
		case <-gaveUp:
			r.mu.Unlock()
		}
	}()
	// Pauses are counted, not time: the machine may have stood still.
	for range lockPauses {
		select {
		case <-locked:
			return true
		case <-time.After(lockPause):
		}
		if r.writing.waits() {
			break
		}
	}
	close(gaveUp)
	return false
}

// misleading are headers that middleware may have set for the answer that will
// not come.
var misleading = []string{"Accept-Ranges", "Content-Disposition", "Content-Encoding", "Content-Language",
	"Content-Range", "Etag", "Expires", "Last-Modified", "Trailer", "Transfer-Encoding", "Upgrade"}

// write sends a whole response in the handler's place. A panic of a writer that
// middleware has put in between must not end the process.
func (r *request) write(status int) (ok bool) {
	defer func() { ok = recover() == nil }()
	ctl := http.NewResponseController(r.rw)
	limit := answerLimit
	if r.http2 {
		limit = streamLimit
	}
	_ = ctl.SetWriteDeadline(time.Now().Add(limit)) // not every writer can
	text := strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status))) + "\n"
	h := r.rw.Header()
	for _, name := range misleading {
		h.Del(name)
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if !r.http2 {
		h.Set("Connection", "close") // the handler still has the connection
	}
	r.committed = true
	r.rw.WriteHeader(status)
	if r.method != http.MethodHead {
		_, _ = r.rw.Write([]byte(text)) // the client may be gone
	}
	_ = ctl.Flush()
	return true
}

// shut tells the client of an HTTP/1 connection that nothing follows the answer,
// and sees to it that nothing does. It is closed when the handler returns.
func (r *request) shut() {
	if c, ok := r.conn().(interface{ CloseWrite() error }); ok && !r.http2 {
		_ = c.CloseWrite() // fails if the client has closed it
	}
}

// cut ends the exchange without another byte. With locked the caller holds the
// writer; otherwise the handler may be in a write, which then fails. It returns
// false if there is nothing to cut any more.
func (r *request) cut(locked bool) bool {
	r.ending.Lock()
	defer r.ending.Unlock()
	if r.released {
		return false
	}
	ctl := http.NewResponseController(r.rw)
	if !r.http2 {
		if conn := r.conn(); conn != nil {
			closeAtOnce(conn)
			return true
		}
		if locked {
			if conn, _, err := ctl.Hijack(); err == nil {
				closeAtOnce(conn)
				return true
			}
		}
	}
	past := time.Unix(1, 0) // over HTTP/2 other streams share the connection; this resets ours
	_ = ctl.SetReadDeadline(past)
	_ = ctl.SetWriteDeadline(past)
	return true
}

// closeAtOnce closes c without the goodbye of TLS, which could wait for the peer
// and would tell it that the response is complete.
func closeAtOnce(c net.Conn) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	_ = c.Close()
}
