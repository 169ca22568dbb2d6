package worker

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/fugue-http/fugue/httpwatch"
	"github.com/fugue-http/fugue/sockets"
)

// conns is the table of the HTTP connections. The server's ConnState hook keeps
// it, from the goroutine of each connection. The requests on them are the
// watch's.
type conns struct {
	seat  *sockets.Seat // counts them as well
	empty chan struct{} // has one element when the last connection has left

	turnstile *turnstile

	mu       sync.Mutex // guards all below
	open     map[net.Conn]*conn
	hijacked map[net.Conn]*conn // the handler's own now; net/http tells no more of them
}

// conn is one connection that net/http serves.
type conn struct {
	net     net.Conn
	resting bool            // waits for a request (StateNew or StateIdle)
	since   time.Time       // when it last came to rest
	http2   bool            // has carried an HTTP/2 request
	closing bool            // closed by us; its StateClosed is on the way
	watched context.Context // names it to the watch
	guest   sockets.Guest   // counts it for the other workers
}

type connKey struct{} // of a request's context, names its *conn

func newConns(seat *sockets.Seat) *conns {
	return &conns{
		seat:      seat,
		empty:     make(chan struct{}, 1),
		turnstile: newTurnstile(),
		open:      make(map[net.Conn]*conn),
		hijacked:  make(map[net.Conn]*conn),
	}
}

// watch has srv keep the table, after what the user's own hooks do.
func (t *conns) watch(srv *http.Server) {
	stateHook, contextHook := srv.ConnState, srv.ConnContext
	srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		ctx = httpwatch.ConnContext(ctx, nc)
		ctx = context.WithValue(ctx, connKey{}, t.add(nc, ctx))
		if contextHook != nil {
			return contextHook(ctx, nc)
		}
		return ctx
	}
	srv.ConnState = func(nc net.Conn, state http.ConnState) {
		t.changeState(nc, state)
		if stateHook != nil {
			stateHook(nc, state)
		}
		if state == http.StateIdle {
			t.turnstile.answered()
		}
	}
}

// add runs in the goroutine that accepts, so it is done before the gate parks.
func (t *conns) add(nc net.Conn, watched context.Context) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &conn{net: nc, resting: true, since: time.Now(), watched: watched}
	t.open[nc] = c
	t.seat.Enter(&c.guest)
	return c
}

func (t *conns) changeState(nc net.Conn, state http.ConnState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.open[nc]
	if c == nil {
		return
	}
	switch state {
	case http.StateActive:
		c.resting = false
	case http.StateIdle:
		c.resting, c.since = true, time.Now()
		c.guest.Rest()
	case http.StateHijacked:
		t.hijacked[nc] = c
		delete(t.open, nc)
		c.guest.Rest()
	case http.StateClosed:
		delete(t.open, nc)
		c.guest.Leave()
	}
	if len(t.open)+len(t.hijacked) == 0 {
		t.tellEmpty()
	}
}

// tellEmpty wakes a drain. One element says it all, so it never waits.
func (t *conns) tellEmpty() {
	select {
	case t.empty <- struct{}{}:
	default:
	}
}

// carriesHTTP2 notes that r came over HTTP/2, of which ConnState tells nothing.
func (t *conns) carriesHTTP2(r *http.Request) {
	c, _ := r.Context().Value(connKey{}).(*conn) // nil if a user's hook replaced the context
	if c == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c.http2 = true
}

// held is the number of connections.
func (t *conns) held() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetClosedLocked()
	return int64(len(t.open) + len(t.hijacked))
}

// forgetClosedLocked drops the hijacked connections that their handlers have
// closed. Nothing tells when that happens, so it is asked.
func (t *conns) forgetClosedLocked() {
	for nc, c := range t.hijacked {
		if isClosedConn(nc) {
			delete(t.hijacked, nc)
			c.guest.Leave()
		}
	}
}
