package control

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fugue-http/fugue/sockets"
)

// A door lets in at most maxConns clients, and only those who may rule the
// master. When it is full, those who keep us waiting for their request leave for
// the newcomers, so that slow clients lock out nobody for long.
type door struct {
	*net.UnixListener
	socket *sockets.Listener
	places chan struct{} // one for each connection
	closed chan struct{}

	mu   sync.Mutex
	half []*conn // those whose request is not whole yet
}

// conn holds a place until it is closed.
type conn struct {
	*net.UnixConn
	door  *door
	since time.Time
	once  sync.Once
}

func newDoor(ln *net.UnixListener, socket *sockets.Listener) *door {
	return &door{UnixListener: ln, socket: socket, places: make(chan struct{}, maxConns), closed: make(chan struct{})}
}

// Accept returns the next client that may come in.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if !allowed(c) {
			refuse(c)
			continue
		}
		if !d.place() {
			_ = c.Close()
			return nil, net.ErrClosed
		}
		return d.enter(c), nil
	}
}

// place waits for a free place. Clients that have sent their whole request leave
// one as soon as they are answered; the others are waited for no longer than it
// takes an honest client to send a few hundred bytes.
func (d *door) place() bool {
	for {
		select {
		case d.places <- struct{}{}:
			return true
		case <-d.closed:
			return false
		case <-time.After(crowdLimit):
			d.turnOut(time.Now().Add(-crowdLimit))
		}
	}
}

func (d *door) enter(c *net.UnixConn) *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	in := &conn{UnixConn: c, door: d, since: time.Now()}
	d.half = append(d.half, in)
	return in
}

// turnOut closes the connections that came before then, and whose request is
// not whole.
func (d *door) turnOut(then time.Time) {
	d.mu.Lock()
	late := slices.DeleteFunc(slices.Clone(d.half), func(c *conn) bool { return c.since.After(then) })
	d.mu.Unlock()
	for _, c := range late {
		_ = c.Close()
	}
}

// Close ends Accept, removes the socket, and sends away who has not said yet
// what he wants.
func (d *door) Close() error {
	select {
	case <-d.closed:
		return nil // http.Server closes its listeners, too
	default:
	}
	close(d.closed)
	err := errors.Join(d.UnixListener.Close(), d.socket.Close())
	d.turnOut(time.Now())
	return err
}

// whole notes that c's request has been read: c may stay until it is answered.
func (c *conn) whole() {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	c.door.half = slices.DeleteFunc(c.door.half, func(h *conn) bool { return h == c })
}

// Close gives the place back.
func (c *conn) Close() error {
	err := c.UnixConn.Close()
	c.once.Do(func() {
		c.whole()
		<-c.door.places
	})
	return err
}

type connKey struct{}

// withConn lets a handler find its connection.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func connOf(ctx context.Context) *conn { return ctx.Value(connKey{}).(*conn) }

// allowed says whether the client is root or the master's own user. The mode of
// the socket says the same; this holds even if somebody has changed it.
func allowed(c *net.UnixConn) bool {
	uid, err := peerUID(c)
	return err == nil && (uid == 0 || uid == os.Geteuid())
}

const refusal = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" +
	`{"error":"only root and the user that runs the master may use this socket"}` + "\n"

// refuse answers without reading a byte. It never waits: the text fits into the
// buffer of a fresh socket.
func refuse(c *net.UnixConn) {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte(refusal))
	_ = c.Close()
}
