package httpwatch

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

const (
	// buffered is how much of a response net/http keeps before anything of it
	// goes to the connection: the bufio.Writer in front of its chunkWriter has
	// 2048 bytes. A write that stays below cannot wait for the client.
	buffered = 2048
	// piece is how much of a response is written to an HTTP/2 stream at a time:
	// a client that takes it within the limit makes progress.
	piece = 16 << 10
)

var errReturned = errors.New("httpwatch: write after the handler has returned")

// closed says why the handler may not write, nil if it may.
func (r *request) closed() error {
	switch {
	case r.over:
		return http.ErrHandlerTimeout
	case r.left:
		return errReturned
	}
	return nil
}

func (r *request) WriteHeader(code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed() != nil {
		return
	}
	if r.hijacked || r.committed {
		r.writeHeaderAgain(code)
		return
	}
	// 1xx is followed by the real one (RFC 9110, 15.2); 101 is the last over HTTP.
	if code >= 100 && code <= 199 && code != http.StatusSwitchingProtocols {
		r.copyHeader()
		r.beginWait(&r.writing)
		defer r.endWait(&r.writing)
		r.rw.WriteHeader(code)
		return
	}
	r.prepare(code)
	r.rw.WriteHeader(code) // panics if the code is none; then nothing is committed
	r.committed = true
}

func (r *request) writeHeaderAgain(code int) {
	what := "superfluous response.WriteHeader call"
	if r.hijacked {
		what = "response.WriteHeader on hijacked connection"
	}
	if !r.misused(what) {
		r.rw.WriteHeader(code)
	}
}

// commit is what the first write does.
func (r *request) commit(code int) {
	if !r.committed {
		r.prepare(code)
		r.committed = true
	}
}

func (r *request) Write(b []byte) (int, error) {
	return write(r, b, io.Writer.Write)
}

func (r *request) WriteString(s string) (int, error) {
	return write(r, s, io.WriteString)
}

func write[T []byte | string](r *request, data T, to func(io.Writer, T) (int, error)) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.closed(); err != nil {
		return 0, err
	}
	if r.hijacked && len(data) > 0 && r.misused("response.Write on hijacked connection") {
		return 0, http.ErrHijacked
	}
	r.commit(http.StatusOK)
	if r.unsent += len(data); r.unsent < buffered {
		return to(r.rw, data)
	}
	r.beginWait(&r.writing)
	defer r.endWait(&r.writing)
	for r.http2 && len(data) > piece && err == nil {
		var m int
		m, err = to(r.rw, data[:piece])
		n, data = n+m, data[piece:]
		r.writing.since.Store(r.watch.now()) // progress
	}
	if err != nil {
		return n, err
	}
	m, err := to(r.rw, data)
	return n + m, err
}

func (r *request) FlushError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.closed(); err != nil {
		return err
	}
	r.commit(http.StatusOK)
	r.unsent = buffered
	r.beginWait(&r.writing)
	defer r.endWait(&r.writing)
	return http.NewResponseController(r.rw).Flush()
}

// readFrom keeps sendfile(2): a file is handed to the server as it is. From
// anything else it copies piece by piece, so that waiting for the source counts
// for the handler and only waiting for the client does not.
func (r *request) readFrom(src io.Reader) (int64, error) {
	from, ok := r.rw.(io.ReaderFrom)
	if !ok || !isFile(src) {
		buf := copyBuffers.Get().(*[]byte)
		defer copyBuffers.Put(buf)
		return io.CopyBuffer(struct{ io.Writer }{r}, struct{ io.Reader }{src}, *buf)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.closed(); err != nil {
		return 0, err
	}
	if !r.committed {
		r.prepare(http.StatusOK)
	}
	r.unsent = buffered
	r.beginWait(&r.writing)
	defer r.endWait(&r.writing)
	n, err := from.ReadFrom(src)
	r.committed = r.committed || n > 0 // an empty file writes nothing, not even the status
	return n, err
}

// hijack gives the connection to the handler; the request leaves the watch.
func (r *request) hijack() (net.Conn, *bufio.ReadWriter, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.closed(); err != nil {
		return nil, nil, err
	}
	conn, rw, err := http.NewResponseController(r.rw).Hijack()
	if err != nil {
		return nil, nil, err
	}
	r.hijacked = true
	r.release()
	r.watch.hijacked.Add(1)
	// Its time may be up this moment: expire finds it hijacked, so there is no
	// incident that could recover.
	r.watch.table.leave(r)
	r.rise() // the seat is free for another request
	return conn, rw, nil
}

func (r *request) enableFullDuplex(enable func() error) error {
	r.mu.Lock() // net/http asks for it when it writes the header
	defer r.mu.Unlock()
	if r.over {
		return http.ErrHandlerTimeout
	}
	return enable()
}
