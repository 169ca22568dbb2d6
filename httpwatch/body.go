package httpwatch

import (
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// body is the request's body. While the handler waits in Read for the client,
// the handler's clock stands still.
type body struct {
	io.ReadCloser
	request *request
	ended   atomic.Bool // EOF or an error was seen
}

func (b *body) Read(p []byte) (int, error) {
	r := b.request
	r.beginWait(&r.reading)
	n, err := b.ReadCloser.Read(p)
	r.endWait(&r.reading)
	if err == nil {
		return n, nil
	}
	b.ended.Store(true)
	if !errors.Is(err, io.EOF) && r.cutSlow.Load() {
		err = errSlowClient
	}
	return n, err
}

var errSlowClient = errors.New("httpwatch: the client made no progress for too long; its connection was closed")

// unread says whether there may be more of the body than the handler has read.
func (b *body) unread() bool { return b.request != nil && !b.ended.Load() }

// finish bounds how long the server may wait for the rest of a body that the
// handler did not read: it reads on for a while to keep the connection, and a
// client that stops sending would hold it for ever. The server sets a new
// deadline for the next request. Over HTTP/2 it does not wait, and the deadline
// would be that of all streams.
func (b *body) finish(limit time.Duration) {
	if limit <= 0 || !b.unread() || b.request.http2 {
		return
	}
	if conn := b.request.conn(); conn != nil {
		_ = conn.SetReadDeadline(time.Now().Add(limit)) // fails if it is closed already
	}
}
