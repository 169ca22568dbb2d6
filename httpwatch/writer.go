package httpwatch

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime/pprof"
	"strings"
)

// buffered is how much of a response net/http keeps before anything of it goes
// to the connection: the bufio.Writer in front of its chunkWriter has 2048
// bytes. A write that stays below cannot wait for the client.
const buffered = 2048

// Header is the handler's own map. The server's is written when the status is:
// the watch may have to answer while the handler changes its map, and a map
// that two goroutines use ends the process.
func (r *request) Header() http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.header == nil {
		if r.over || r.rw == nil {
			r.header = http.Header{} // leads nowhere
		} else if r.header = r.rw.Header().Clone(); r.header == nil {
			r.header = http.Header{}
		}
	}
	return r.header
}

// copyHeader makes the server's map what the handler's is.
func (r *request) copyHeader() {
	to := r.rw.Header()
	if r.header != nil {
		clear(to)
		for k, v := range r.header {
			to[k] = v
		}
	}
	if r.watch.closing.Load() && r.req.Header.Get("Upgrade") == "" {
		to.Set("Connection", "close")
	}
}

// trailers copies what net/http looks for after the body: names announced in
// Trailer, and those with http.TrailerPrefix.
func trailers(to, from http.Header) {
	announced := len(from["Trailer"]) > 0
	for k, v := range from {
		if announced || strings.HasPrefix(k, http.TrailerPrefix) {
			to[k] = v
		}
	}
}

func (r *request) WriteHeader(code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	if !r.committed {
		r.copyHeader()
	}
	// 1xx is followed by the real one (RFC 9110, 15.2); 101 is the last over HTTP.
	informal := code >= 100 && code <= 199 && code != http.StatusSwitchingProtocols
	r.committed = r.committed || !informal
	if informal {
		r.await(func() { r.rw.WriteHeader(code) })
		return
	}
	r.rw.WriteHeader(code)
}

// await runs f, which may wait for the client.
func (r *request) await(f func()) {
	r.writing.begin(r.watch.now())
	defer func() { r.writing.end(r.watch.now()) }()
	f()
}

// commit is what the first write does.
func (r *request) commit() {
	if !r.committed {
		r.committed = true
		r.copyHeader()
	}
}

func (r *request) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return 0, http.ErrHandlerTimeout
	}
	r.commit()
	if r.unsent += len(b); r.unsent < buffered {
		return r.rw.Write(b)
	}
	r.writing.begin(r.watch.now())
	n, err := r.rw.Write(b)
	r.writing.end(r.watch.now())
	return n, err
}

func (r *request) WriteString(s string) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return 0, http.ErrHandlerTimeout
	}
	r.commit()
	if r.unsent += len(s); r.unsent < buffered {
		return io.WriteString(r.rw, s)
	}
	r.writing.begin(r.watch.now())
	n, err := io.WriteString(r.rw, s)
	r.writing.end(r.watch.now())
	return n, err
}

func (r *request) FlushError() (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return http.ErrHandlerTimeout
	}
	r.commit()
	r.unsent = buffered
	r.await(func() { err = http.NewResponseController(r.rw).Flush() })
	return err
}

// readFrom keeps sendfile(2): a file is handed to the server as it is. From
// anything else it copies piece by piece, so that waiting for the source counts
// for the handler and only waiting for the client does not.
func (r *request) readFrom(src io.Reader) (int64, error) {
	from, ok := r.rw.(io.ReaderFrom)
	if !ok || !isFile(src) {
		buf := copyBuffers.Get().(*[]byte)
		defer copyBuffers.Put(buf)
		return io.CopyBuffer(struct{ io.Writer }{writerFunc(r.Write)}, struct{ io.Reader }{src}, *buf)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return 0, http.ErrHandlerTimeout
	}
	r.commit()
	r.unsent = buffered
	r.writing.begin(r.watch.now())
	defer func() { r.writing.end(r.watch.now()) }()
	return from.ReadFrom(src)
}

// hijack gives the connection to the handler; the request leaves the watch.
func (r *request) hijack() (net.Conn, *bufio.ReadWriter, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil, nil, http.ErrHandlerTimeout
	}
	conn, rw, err := http.NewResponseController(r.rw).Hijack()
	if err != nil {
		return nil, nil, err
	}
	r.hijacked = true
	r.watch.hijacked.Add(1)
	r.watch.table.leave(r)
	pprof.SetGoroutineLabels(r.ctx.Context) // the seat is free for another request
	return conn, rw, nil
}
