package httpwatch

import (
	"bufio"
	"io"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/felixge/httpsnoop"
)

// What net/http's own writers can do besides writing. The type of the writer a
// handler gets must offer exactly what the server's does: code asks for
// interfaces and acts on the answer.
type (
	both interface {
		http.Flusher
		io.StringWriter
		FlushError() error
		CloseNotify() <-chan bool
		SetReadDeadline(time.Time) error
		SetWriteDeadline(time.Time) error
		EnableFullDuplex() error
	}
	onHTTP1 interface {
		both
		http.Hijacker
		io.ReaderFrom
	}
	onHTTP2 interface {
		both
		http.Pusher
	}
)

// newRequest makes a request and the writer for its handler. The two writers of
// net/http have types of ours, which cost one allocation together with the
// request; any other one, of middleware in between, is wrapped by httpsnoop, for
// there are 512 combinations.
func newRequest(w *Watch, rw http.ResponseWriter) (*request, http.ResponseWriter) {
	_, pushes := rw.(http.Pusher)
	if one, ok := rw.(onHTTP1); ok && !pushes {
		h := &http1Writer{server: one}
		h.watch, h.rw = w, rw
		return &h.request, h
	}
	_, hijacks := rw.(http.Hijacker)
	_, reads := rw.(io.ReaderFrom)
	if two, ok := rw.(onHTTP2); ok && !hijacks && !reads {
		h := &http2Writer{server: two}
		h.watch, h.rw = w, rw
		return &h.request, h
	}
	r := &request{watch: w, rw: rw}
	return r, httpsnoop.Wrap(rw, r.hooks())
}

// http1Writer is a request as the writer of its HTTP/1 handler.
type http1Writer struct {
	request
	server onHTTP1
}

func (h *http1Writer) Flush()                                       { _ = h.FlushError() }
func (h *http1Writer) CloseNotify() <-chan bool                     { return h.server.CloseNotify() }
func (h *http1Writer) SetReadDeadline(t time.Time) error            { return h.server.SetReadDeadline(t) }
func (h *http1Writer) SetWriteDeadline(t time.Time) error           { return h.server.SetWriteDeadline(t) }
func (h *http1Writer) EnableFullDuplex() error                      { return h.enableFullDuplex(h.server.EnableFullDuplex) }
func (h *http1Writer) ReadFrom(src io.Reader) (int64, error)        { return h.readFrom(src) }
func (h *http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.hijack() }

// http2Writer is a request as the writer of its HTTP/2 handler.
type http2Writer struct {
	request
	server onHTTP2
}

func (h *http2Writer) Flush()                             { _ = h.FlushError() }
func (h *http2Writer) CloseNotify() <-chan bool           { return h.server.CloseNotify() }
func (h *http2Writer) SetReadDeadline(t time.Time) error  { return h.server.SetReadDeadline(t) }
func (h *http2Writer) SetWriteDeadline(t time.Time) error { return h.server.SetWriteDeadline(t) }
func (h *http2Writer) EnableFullDuplex() error            { return h.server.EnableFullDuplex() }
func (h *http2Writer) Push(target string, opts *http.PushOptions) error {
	return h.server.Push(target, opts)
}

// hooks bind r to whatever rw can do.
func (r *request) hooks() httpsnoop.Hooks {
	return httpsnoop.Hooks{
		Header:      func(httpsnoop.HeaderFunc) httpsnoop.HeaderFunc { return r.Header },
		WriteHeader: func(httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc { return r.WriteHeader },
		Write:       func(httpsnoop.WriteFunc) httpsnoop.WriteFunc { return r.Write },
		WriteString: func(httpsnoop.WriteStringFunc) httpsnoop.WriteStringFunc { return r.WriteString },
		Flush:       func(httpsnoop.FlushFunc) httpsnoop.FlushFunc { return func() { _ = r.FlushError() } },
		FlushError:  func(httpsnoop.FlushErrorFunc) httpsnoop.FlushErrorFunc { return r.FlushError },
		ReadFrom:    func(httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc { return r.readFrom },
		Hijack:      func(httpsnoop.HijackFunc) httpsnoop.HijackFunc { return r.hijack },
		EnableFullDuplex: func(next httpsnoop.EnableFullDuplexFunc) httpsnoop.EnableFullDuplexFunc {
			return func() error { return r.enableFullDuplex(next) }
		},
	}
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// isFile says whether src is a regular file, of which net/http can send a
// section without copying, and which the handler never waits for long. io.Copy
// hands on a type of package os that hides a method of the file.
func isFile(src io.Reader) bool {
	if l, ok := src.(*io.LimitedReader); ok {
		src = l.R
	}
	f, ok := src.(interface {
		fs.File
		syscall.Conn
	})
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}
