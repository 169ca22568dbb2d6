package worker

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/fugue-http/fugue/internal/wire"
)

// conns is the table of the HTTP connections and of the requests in flight. The
// server's ConnState hook keeps it, from the goroutine of each connection.
type conns struct {
	empty chan struct{} // has one element when the last connection has left

	mu       sync.Mutex // guards all below
	open     map[net.Conn]*conn
	hijacked map[net.Conn]struct{} // the handler's own now; net/http tells no more of them
	inFlight list.List             // of time.Time, when each request began; the oldest is first
	requests uint64                // answered since the start
}

// conn is one connection that net/http serves.
type conn struct {
	net     net.Conn
	resting bool          // waits for a request (StateNew or StateIdle)
	since   time.Time     // when it last came to rest
	http2   bool          // has carried an HTTP/2 request
	closing bool          // closed by us; its StateClosed is on the way
	request *list.Element // HTTP/1: the one in flight, nil if none
}

type connKey struct{} // of a request's context, names its *conn

func newConns() *conns {
	return &conns{
		empty:    make(chan struct{}, 1),
		open:     make(map[net.Conn]*conn),
		hijacked: make(map[net.Conn]struct{}),
	}
}

// watch has srv keep the table, after what the user's own hooks do.
func (t *conns) watch(srv *http.Server) {
	stateHook, contextHook := srv.ConnState, srv.ConnContext
	srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		ctx = context.WithValue(ctx, connKey{}, t.add(nc))
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
	}
}

// add runs in the goroutine that accepts, so it is done before the gate parks.
func (t *conns) add(nc net.Conn) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &conn{net: nc, resting: true, since: time.Now()}
	t.open[nc] = c
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
	case http.StateHijacked:
		// A WebSocket is no request any more: it is counted apart, and its age
		// says nothing about the health of the worker.
		t.hijacked[nc] = struct{}{}
		t.endLocked(c.request)
		c.request = nil
		delete(t.open, nc)
	case http.StateClosed:
		delete(t.open, nc)
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

// begin notes that a request is in flight and returns what ends it.
func (t *conns) begin(r *http.Request) (end func()) {
	c, _ := r.Context().Value(connKey{}).(*conn) // nil if a user's hook replaced the context
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.inFlight.PushBack(time.Now())
	if c != nil && r.ProtoMajor == 1 {
		c.request = e
	} else if c != nil {
		c.http2 = true
	}
	return func() { t.end(c, e) }
}

func (t *conns) end(c *conn, e *list.Element) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLocked(e)
	if c != nil && c.request == e {
		c.request = nil
	}
	t.requests++
}

// endLocked takes e out of the list, once: a hijacked request has left before.
func (t *conns) endLocked(e *list.Element) {
	if e != nil {
		t.inFlight.Remove(e) // does nothing for an element that has left
	}
}

// load is what a beat tells of the table.
func (t *conns) load(now time.Time) wire.Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetClosedLocked()
	m := wire.Message{
		Type:        wire.Beat,
		InFlight:    int64(t.inFlight.Len()),
		Connections: int64(len(t.open) + len(t.hijacked)),
		Requests:    t.requests,
	}
	if oldest := t.inFlight.Front(); oldest != nil {
		m.OldestMS = max(0, now.Sub(oldest.Value.(time.Time)).Milliseconds())
	}
	return m
}

// forgetClosedLocked drops the hijacked connections that their handlers have
// closed. Nothing tells when that happens, so it is asked.
func (t *conns) forgetClosedLocked() {
	for nc := range t.hijacked {
		if isClosedConn(nc) {
			delete(t.hijacked, nc)
		}
	}
}
