package httpwatch

import (
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"time"
)

// answerLimit bounds how long the 504 may take to reach a client whose receive
// window is shut.
const answerLimit = time.Second

// expire deals with a request that is overdue: its context ends, its client is
// answered or cut, and the incident is handed to the clerk.
func (r *request) expire() {
	w := r.watch
	w.timedOut.Add(1)
	in := Incident{ID: r.id, Path: r.label, At: time.Now(), Age: time.Duration(w.now() - r.start)}
	if r.req != nil {
		in.Method, in.Path, in.Remote = r.req.Method, r.req.URL.Path, r.req.RemoteAddr
		r.ctx.timeOut()
		in.Status = r.answer()
	} else {
		r.ctx.timeOut()
	}
	w.table.stick(r)
	w.clerk.overdue(r, in)
}

// answer takes the response out of the handler's hands and returns the status
// that the client gets, 0 if none.
func (r *request) answer() (status int) {
	if !r.lock() {
		r.cut() // a write began this moment and does not end: the client is slow as well
		return 0
	}
	defer r.mu.Unlock()
	if r.over || r.left || r.hijacked {
		return 0
	}
	r.over = true
	if r.committed || r.watch.opt.Status == NoAnswer {
		r.cut()
		return 0
	}
	r.write(r.watch.opt.Status)
	return r.watch.opt.Status
}

// lock takes the writer, unless the handler holds it for longer than a write
// into a buffer takes. It is not in a write that waits for the client: then its
// clock would stand still.
func (r *request) lock() bool {
	for end := time.Now().Add(10 * time.Millisecond); !r.mu.TryLock(); runtime.Gosched() {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// write sends a whole response in the handler's place.
func (r *request) write(status int) {
	text := fmt.Sprintf("%d %s\n", status, http.StatusText(status))
	ctl := http.NewResponseController(r.rw)
	_ = ctl.SetWriteDeadline(time.Now().Add(answerLimit)) // not every writer can
	h := r.rw.Header()
	for _, name := range []string{"Content-Encoding", "Etag", "Last-Modified", "Trailer", "Transfer-Encoding", "Content-Range", "Accept-Ranges"} {
		h.Del(name) // what middleware set for the answer that will not come
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.req.ProtoMajor == 1 {
		h.Set("Connection", "close") // the handler still has the connection
	}
	r.committed = true
	r.rw.WriteHeader(status)
	if r.req.Method != http.MethodHead {
		_, _ = r.rw.Write([]byte(text)) // the client may be gone
	}
	_ = ctl.Flush()
}
