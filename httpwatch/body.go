package httpwatch

import (
	"errors"
	"io"
	"time"
)

// body is the request's body. While the handler waits in Read for the client,
// the handler's clock stands still.
type body struct {
	io.ReadCloser
	request *request
	ended   bool // EOF or an error was seen
}

func (b *body) Read(p []byte) (int, error) {
	r := b.request
	r.reading.begin(r.watch.now())
	n, err := b.ReadCloser.Read(p)
	r.reading.end(r.watch.now())
	if err != nil {
		b.ended = true
	}
	if err != nil && !errors.Is(err, io.EOF) && r.slow() {
		err = errSlowClient
	}
	return n, err
}

var errSlowClient = errors.New("httpwatch: the client made no progress for too long; its connection was closed")

// finish bounds how long the server may wait for the rest of a body that the
// handler did not read: it reads on for a while to keep the connection, and a
// client that stops sending would hold it for ever. The server sets a new
// deadline for the next request.
func (b *body) finish(limit time.Duration) {
	if b.request == nil || b.ended || limit <= 0 {
		return
	}
	if conn := b.request.conn(); conn != nil {
		_ = conn.SetReadDeadline(time.Now().Add(limit)) // fails if it is closed already
	}
}

// slow says whether the watch closed the connection for want of progress.
func (r *request) slow() bool { return r.progress.closed.Load() }
