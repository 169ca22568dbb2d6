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
	inside crowd // connections, who is about to accept one, and who has handed one on

	mu   sync.Mutex    // guards all below
	half []*conn       // those whose request is not whole yet
	shut chan struct{} // while suspended, else nil; closed when that is over
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
	for d.approach() {
		c, err := d.admit()
		if c != nil {
			return c, nil // it is inside in our stead
		}
		d.inside.leave()
		if err != nil {
			return nil, err
		}
	}
	return nil, net.ErrClosed
}

// admit is neither a client nor an error if somebody was refused, or the door
// was suspended before anybody came.
func (d *door) admit() (*conn, error) {
	c, err := d.AcceptUnix()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, nil
	case err != nil:
		return nil, err
	case !allowed(c):
		refuse(c)
		return nil, nil
	case !d.place():
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	return d.enter(c), nil
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
	for _, c := range d.takeLate(then) {
		_ = c.Close()
	}
}

// takeLate takes them off the list, so that none of their requests becomes whole
// any more.
func (d *door) takeLate(then time.Time) (late []*conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.half = slices.DeleteFunc(d.half, func(c *conn) bool {
		if c.since.After(then) {
			return false
		}
		late = append(late, c)
		return true
	})
	return late
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
// It is false if c was sent away before.
func (c *conn) whole() bool {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	i := slices.Index(c.door.half, c)
	if i < 0 {
		return false
	}
	c.door.half = slices.Delete(c.door.half, i, i+1)
	return true
}

// Close gives the place back.
func (c *conn) Close() error {
	err := c.UnixConn.Close()
	c.once.Do(func() {
		c.whole()
		<-c.door.places
		c.door.inside.leave()
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
