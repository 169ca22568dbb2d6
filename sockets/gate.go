package sockets

import (
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Gate is a listener that can stop accepting without telling its server.
//
// A server takes an error of Accept as the end, and its own way of stopping
// (http.Server.Shutdown) drops requests that it has just read. So a worker that
// leaves shuts the gate first: connections go to the other workers, Accept
// waits, and the server goes on answering what it has until Close.
//
// All methods may be called from any goroutine, any number of times. A Gate
// never unlinks the path of a Unix socket: that is for the master alone.
type Gate struct {
	ln     net.Listener
	shut   chan struct{} // closed by Shut: no new connections
	closed chan struct{} // closed by Close: Accept returns
	parked chan struct{} // closed when an Accept waits behind the shut gate, or by Close
	quiet  chan struct{} // closed when the gate is shut and nothing is held

	// held counts the calls of Accept that are under way and the connections of
	// Counting that are open; one number, so that no connection is overlooked
	// while it passes from the one to the other.
	held atomic.Int64
	open atomic.Int64 // connections of Counting that are open

	accepting atomic.Int64 // calls of the listener's Accept that are under way
	taken     atomic.Int64 // connections that it has returned

	queueTime time.Duration // the constant, but for tests

	shutOnce, closeOnce, parkOnce, quietOnce sync.Once
}

// NewGate returns an open gate in front of ln, which it owns from now on.
func NewGate(ln net.Listener) *Gate {
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return &Gate{
		ln:     ln,
		shut:   make(chan struct{}),
		closed: make(chan struct{}),
		parked: make(chan struct{}),
		quiet:  make(chan struct{}),

		queueTime: queueTime,
	}
}

// Accept waits for the next connection, and once the gate is shut for Close; it
// then returns net.ErrClosed. A connection that was accepted just as the gate
// shut is returned, never dropped. Connections are those of the listener,
// unwrapped; the caller counts them.
func (g *Gate) Accept() (net.Conn, error) {
	c, err := g.accept()
	if err != nil {
		return nil, err
	}
	g.release()
	return c, nil
}

// accept returns a connection that is held until release is called.
func (g *Gate) accept() (net.Conn, error) {
	g.held.Add(1) // before the look at shut, or a connection could come after quiet
	if !isClosed(g.shut) {
		c, err := g.take()
		if err == nil {
			return c, nil
		}
		if !isClosed(g.shut) {
			g.release()
			return nil, err
		}
	}
	g.release()
	return nil, g.park()
}

func (g *Gate) take() (net.Conn, error) {
	g.accepting.Add(1)
	defer g.accepting.Add(-1) // after taken, see share
	c, err := g.ln.Accept()
	if err == nil {
		g.taken.Add(1)
	}
	return c, err
}

func (g *Gate) park() error {
	g.parkOnce.Do(func() { close(g.parked) })
	<-g.closed
	return net.ErrClosed
}

func (g *Gate) release() {
	if g.held.Add(-1) == 0 && isClosed(g.shut) {
		g.quietOnce.Do(func() { close(g.quiet) })
	}
}

// queueTime bounds how long a shutting gate lets in what the kernel has queued
// while others serve the queue as well.
const queueTime = 250 * time.Millisecond

// lookEvery is the time between two looks at the queue: no event tells that it
// has been emptied.
const lookEvery = time.Millisecond

// Shut lets in what is queued at this moment, then no more, and closes this
// process's descriptor of the socket. When it returns nothing more is accepted.
//
// The master and the other workers hold descriptors of their own, and the queue is
// theirs as well: 250 ms are enough then, also for what waits at the other sockets of
// a group and is served by nobody. But on a full stop, or without a master, the last
// close resets every connection in the queue, though its client believes it connected.
// last, when closed, says so: Shut then takes as long as the server does to accept them. The first of over that is closed ends that at once.
func (g *Gate) Shut(last <-chan struct{}, over ...<-chan struct{}) {
	end, share := time.Now().Add(g.queueTime), g.share()
	if s, ok := g.ln.(*shared); ok {
		s.farewell()
	}
	for g.queued(isClosed(last)) && !isClosed(g.shut) && !slices.ContainsFunc(over, isClosed) {
		if isClosed(last) && g.taken.Load() >= share || !isClosed(last) && time.Now().After(end) {
			break
		}
		time.Sleep(lookEvery)
	}
	g.shutNow()
}

// share is what taken has become when this process alone has emptied the queue
// as it is now. Clients that connect as fast as a slow server accepts would keep
// a stopping one for ever; a queue is first in, first out, so the rest came later.
// Where the length is not known there is no such limit.
func (g *Gate) share() int64 {
	length, known := queueLength(g.ln)
	if !known {
		return math.MaxInt64
	}
	if s, ok := g.ln.(*shared); ok {
		length += s.waitingElsewhere()
	}
	// In this order: a connection that has left the queue already and is not
	// counted as taken yet is one of a call that is under way.
	underway := g.accepting.Load()
	return g.taken.Load() + underway + int64(length)
}

// queued tells whether there is something that a gate must let in before it shuts;
// last is whether this process is one of the last. Of a listener that is one of a
// group the last ones serve all sockets of that.
func (g *Gate) queued(last bool) bool {
	s, ok := g.ln.(*shared)
	return ok && s.gather(last) || hasQueue(g.ln)
}

// hasQueue tells whether the kernel has a connection for Accept.
func hasQueue(ln net.Listener) (queued bool) {
	ask(ln, func(fd int) { queued = hasQueueFD(fd) })
	return queued
}

func hasQueueFD(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&unix.POLLIN != 0
}

// queueLength returns how many connections the kernel has for Accept, if it can
// be asked.
func queueLength(ln net.Listener) (length int, known bool) {
	ask(ln, func(fd int) {
		n, _, err := queueOf(fd)
		length, known = n, err == nil
	})
	return length, known
}

// ask calls f with the descriptor of ln, if it has one that is open.
func ask(ln net.Listener, f func(fd int)) {
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = rc.Control(func(fd uintptr) { f(int(fd)) }) // an error: it is closed, it has no queue
}

func (g *Gate) shutNow() {
	g.shutOnce.Do(func() {
		g.held.Add(1) // keeps quiet open until the descriptor is closed
		close(g.shut)
		// The deadline wakes a waiting Accept. Close alone would do for a
		// descriptor that is non-blocking; the deadline asks for less.
		if d, ok := g.ln.(interface{ SetDeadline(time.Time) error }); ok {
			d.SetDeadline(time.Unix(1, 0))
		}
		g.ln.Close()
		g.release()
	})
}

// Close shuts the gate at once and lets a waiting Accept return net.ErrClosed. It
// never fails.
func (g *Gate) Close() error {
	g.shutNow()
	g.closeOnce.Do(func() { close(g.closed) })
	g.parkOnce.Do(func() { close(g.parked) })
	return nil
}

// Addr is the address of the listener.
func (g *Gate) Addr() net.Addr { return g.ln.Addr() }

// Parked is closed when the gate is shut and a call of Accept waits behind it,
// or when the gate is closed. For a server that accepts in one goroutine the
// former proves that it has taken charge of each connection it was given.
func (g *Gate) Parked() <-chan struct{} { return g.parked }

// Quiet is closed when the gate is shut, no call of Accept is under way, and
// each connection of Counting has been closed.
func (g *Gate) Quiet() <-chan struct{} { return g.quiet }

// Open is the number of connections of Counting that are open.
func (g *Gate) Open() int64 { return g.open.Load() }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
