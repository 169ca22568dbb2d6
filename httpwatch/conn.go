package httpwatch

import (
	"context"
	"net"
	"sync/atomic"
)

type connKey struct{} // of a connection's context, names its *connection

// connection is what is known of one that carries watched requests; over HTTP/2
// several at a time.
type connection struct {
	net net.Conn
	// Requests in flight times oneInFlight, plus the stuck ones among them: in
	// one number, so that one look at it is exact.
	load atomic.Uint64
}

const oneInFlight = 1 << 32

// ConnContext is for http.Server.ConnContext: the watch then knows the
// connection of a request, can cut it, can tell whether a slow client makes
// progress, and OnlyStuck works. Without it HTTP/1 connections are cut by taking
// them over.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &connection{net: c})
}

// OnlyStuck says whether there are requests in flight on a connection and each
// of them is stuck: overdue, answered or cut, its handler still running. Closing
// such a connection takes nothing from anybody. ctx is what ConnContext returned
// for it, or the context of one of its requests. A request that the server has
// read and not yet handed to its handler is not known here.
//
// It becomes true before Options.Overdue is called for the last of them.
func OnlyStuck(ctx context.Context) bool {
	c, _ := ctx.Value(connKey{}).(*connection)
	if c == nil {
		return false
	}
	load := c.load.Load()
	return load > 0 && load/oneInFlight == load%oneInFlight
}

// conn returns the connection of r, nil if ConnContext was not installed.
func (r *request) conn() net.Conn {
	if r.connection == nil {
		return nil
	}
	return r.connection.net
}

// carry counts r on its connection.
func (c *connection) carry() {
	if c != nil {
		c.load.Add(oneInFlight)
	}
}

// stick counts a request as stuck, too.
func (c *connection) stick() {
	if c != nil {
		c.load.Add(1)
	}
}

// drop undoes carry, and stick if that was called.
func (c *connection) drop(stuck bool) {
	switch {
	case c == nil:
	case stuck:
		c.load.Add(^uint64(oneInFlight)) // minus oneInFlight, minus 1
	default:
		c.load.Add(^uint64(oneInFlight - 1))
	}
}
