package sockets

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How a process stands back, and returns.
const (
	// idleLimit is how long one of too many that wait goes on without a connection.
	idleLimit = 50 * time.Millisecond
	// moment is how long a queue must not move until one that stands back helps, and
	// generous that of one that has had its share: those who were called may be
	// waiting for the processor.
	moment   = 2 * time.Millisecond
	generous = 5 * time.Millisecond
	// slack is the load that a process may have above the mean and a sixteenth, so
	// that it does not stand back for a single connection.
	slack = unit * 3 / 4
	// All of those who stand back together look about so often at the queue, so that
	// it is not forgotten if those who wait for it are stopped or busy; when nothing
	// happens, a quarter as often.
	lookTogether = 4 * time.Millisecond
	lookSoonest  = 4 * time.Millisecond
	lookLatest   = time.Second
	// unknownQueue is taken for the length of a queue that cannot be asked for.
	unknownQueue = 16
)

// few is how many processes wait for connections at a time. More are woken in vain
// by each connection; fewer might all be busy. The more processors, the more
// connections come until the next look.
var few = max(4, runtime.NumCPU()/4)

// shared is a listener whose socket other processes accept from, too. It listens by
// Go's own listener, so that connections are exactly those of package net; while the
// process stands back that is closed, which takes it off the poller, and only the
// descriptor is kept.
type shared struct {
	seat  *Seat
	addr  net.Addr
	inode uint64
	rung  chan struct{} // has an element when it is to look whose turn it is
	ended chan struct{} // closed by Close

	mu     sync.Mutex // guards all below; taken before the seat's
	fd     int
	ln     net.Listener // nil while it stands back
	closed bool
	at     *place    // on the board; nil: accept from the listener like any other
	until  time.Time // the deadline of ln, zero if there is none
	credit int       // connections that it accepts whatever the board says
	look   time.Duration
	wait   time.Duration // moment or generous
	helped int           // how often in a row it had to help

	siblings   []*sibling // the other sockets of the group that it belongs to
	errands    int        // siblings that Accept is to take connections from
	helpedLast bool       // what Accept did last was an errand
	count      uint64     // connections accepted

	// Guarded by the seat's lock: what the seat says of it on the board, and the number
	// of its group, 0 as long as none is known.
	waits bool
	place int
	group uint64
}

// place is where a listener stands on a board, and its process.
type place struct {
	board  *Board
	number int // of the seat
	queue  int // of the listener
}

func (p *place) look(mine int64) survey { return p.board.look(p.number, p.queue, mine) }

func newShared(s *Seat, fd int) (*shared, error) {
	if err := checkListening(fd); err != nil {
		return nil, fmt.Errorf("descriptor %d %w", fd, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	l := &shared{seat: s, inode: st.Ino, fd: fd, look: lookSoonest,
		rung: make(chan struct{}, 1), ended: make(chan struct{})}
	var err error
	if l.ln, err = listenOn(fd); err != nil {
		return nil, err
	}
	l.addr = l.ln.Addr()
	return l, nil
}

// listenOn makes a listener of Go's of a duplicate of fd.
//
// O_NONBLOCK belongs to the open description, which all workers share: were it
// cleared for a moment, a worker that accepts at that moment would hang in the kernel
// (golang/go#24942, #43894). FileListener calls Fd, which clears the flag unless it
// was set before NewFile; so it is set here first.
func listenOn(fd int) (net.Listener, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate descriptor %d: %w", fd, err)
	}
	f := os.NewFile(uintptr(dup), "listener")
	defer f.Close() // FileListener has its own duplicate
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take listener from descriptor %d: %w", fd, err)
	}
	switch ln := ln.(type) {
	case *net.UnixListener:
		ln.SetUnlinkOnClose(false)
	case *net.TCPListener:
		keepInherited(ln, fd)
	}
	return ln, nil
}

// Addr is the address of the socket.
func (l *shared) Addr() net.Addr { return l.addr }

// Accept returns the next connection that this process is to have.
func (l *shared) Accept() (net.Conn, error) {
	idle := false
	for {
		ln, c, err := l.turn(idle)
		if err != nil || c != nil {
			return c, err
		}
		c, err = ln.Accept()
		switch {
		case err == nil:
			l.accepted()
			return c, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			idle = true
		case !l.replaced(ln):
			return nil, err
		}
	}
}

// turn waits until this process is to accept. idle says that it has waited in vain
// for as long as it may. What it was sent to another socket for comes first.
func (l *shared) turn(idle bool) (net.Listener, net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		if l.standsBackLocked(idle) {
			l.restLocked()
		} else if c := l.runErrandLocked(); c != nil {
			l.count++
			return nil, c, nil
		} else if ln, err := l.listenLocked(); err == nil {
			return ln, nil, nil
		} else {
			// Want of descriptors or memory, which passes. To a server it would be the
			// end, so it is not told; others serve the queue meanwhile.
			l.pauseLocked(lookSoonest)
		}
		idle = false
	}
	return nil, nil, net.ErrClosed
}

// standsBackLocked decides, and says on the board what it has decided.
func (l *shared) standsBackLocked(idle bool) bool {
	if l.at == nil || l.credit > 0 {
		l.unlimitLocked()
		return false
	}
	mine := l.seat.load()
	v := l.at.look(mine)
	l.wait = moment
	if mine > v.mean+v.mean/16+slack {
		return l.letOthersLocked(v)
	}
	crowded := v.waiting >= few
	switch {
	case !crowded:
		l.unlimitLocked()
	case l.ln == nil:
		return true
	case idle && !l.until.After(time.Now()):
		return l.stepBackLocked(few)
	default:
		l.limitLocked()
	}
	return false
}

// letOthersLocked: this process holds more than its share. It stands back if
// somebody else waits, or can be called.
func (l *shared) letOthersLocked(v survey) bool {
	l.wait = generous
	if v.waiting >= min(few, v.live-1) {
		return l.stepBackLocked(1)
	}
	if v.poorest == 0 {
		return v.waiting > 0 && l.stepBackLocked(1)
	}
	if !l.seat.call(l.at.board, v.poorest) {
		return false
	}
	l.seat.wait(l, l.at.queue, false)
	return true
}

// stepBackLocked says that this process does not wait any more, and takes it back if
// fewer than least others are left: they may have decided the same at the same
// moment. Each says so before it looks, so at least one of them sees it.
func (l *shared) stepBackLocked(least int) bool {
	l.seat.wait(l, l.at.queue, false)
	if l.at.look(0).waiting >= least {
		return true
	}
	l.seat.wait(l, l.at.queue, true)
	return false
}

// limitLocked has Accept return after a while without connections.
func (l *shared) limitLocked() {
	now := time.Now()
	if l.until.Sub(now) < idleLimit/2 {
		l.until = now.Add(idleLimit)
		setDeadline(l.ln, l.until)
	}
}

func (l *shared) unlimitLocked() {
	if !l.until.IsZero() && l.ln != nil {
		setDeadline(l.ln, time.Time{})
	}
	l.until = time.Time{}
}

func setDeadline(ln net.Listener, t time.Time) {
	if d, ok := ln.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(t) // fails if it is closed: then Accept says so
	}
}

// listenLocked returns the listener, made anew if this process stood back.
func (l *shared) listenLocked() (net.Listener, error) {
	if l.ln == nil {
		ln, err := listenOn(l.fd)
		if err != nil {
			return nil, err
		}
		l.ln, l.until = ln, time.Time{}
	}
	if l.at != nil {
		l.seat.wait(l, l.at.queue, true)
	}
	return l.ln, nil
}

// restLocked stands back until it is called or it is time to look. The lock is not
// held meanwhile.
func (l *shared) restLocked() {
	if l.ln != nil {
		l.ln.Close()
		l.ln = nil
	}
	pause := l.look/2 + rand.N(l.look)
	if l.pauseLocked(pause) || l.closed || l.at == nil {
		return // called
	}
	l.helpLocked()
}

// pauseLocked waits, and says whether it was called.
func (l *shared) pauseLocked(d time.Duration) (called bool) {
	l.mu.Unlock()
	defer l.mu.Lock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.rung:
		return true
	case <-l.ended:
		return true
	case <-timer.C:
		return false
	}
}

// helpLocked looks whether those who wait are able to serve the queue. If fewer
// connections were accepted in a moment than waited at its begin, this process takes
// its part of them, whatever the board says, and each time twice as many: those who
// wait may only have been waiting for the processor, or they may be stopped.
func (l *shared) helpLocked() {
	usual := min(lookLatest, max(lookSoonest, lookTogether*time.Duration(len(l.at.board.all()))))
	if !hasQueueFD(l.fd) {
		l.look, l.helped = min(2*l.look, 4*usual), 0
		return
	}
	waiting, _, err := queueOf(l.fd)
	if err != nil {
		waiting = unknownQueue
	}
	at, before := l.at, l.at.board.taken(l.at.queue)
	if l.pauseLocked(l.wait) || l.closed || l.at != at {
		return
	}
	l.look = usual
	if !hasQueueFD(l.fd) || int(int32(at.board.taken(at.queue)-before)) >= waiting {
		l.helped = 0
		return
	}
	part := 1 + waiting/max(1, len(l.at.board.all())-1)
	l.credit, l.look = min(part<<l.helped, waiting+1), lookSoonest
	l.helped = min(l.helped+1, 10)
}

// accepted counts a connection.
func (l *shared) accepted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if l.credit > 0 {
		l.credit--
	}
	if l.at != nil {
		l.at.board.seats[l.at.number].taken[l.at.queue].Add(1)
	}
}

// replaced says that ln is not the listener any more: another call of Accept has
// decided to stand back.
func (l *shared) replaced(ln net.Listener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && l.ln != ln
}

// learn asks the seat where this listener stands by now, and has Accept look. Whoever
// changes that calls it afterwards, so the last call finds what is.
func (l *shared) learn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seat.wait(l, 0, false)
	l.at = l.seat.place(l.inode)
	l.wakeLocked()
	l.called()
}

// wakeLocked has a call of Accept that waits look anew what is to be done.
func (l *shared) wakeLocked() {
	if l.ln != nil {
		l.until = time.Unix(1, 0)
		setDeadline(l.ln, l.until)
	}
}

// called has it look whose turn it is. One element says it all.
func (l *shared) called() {
	select {
	case l.rung <- struct{}{}:
	default:
	}
}

// SyscallConn gives access to the socket, to ask and to set; not to read or write.
func (l *shared) SyscallConn() (syscall.RawConn, error) { return onlyControl{l}, nil }

type onlyControl struct{ l *shared }

func (c onlyControl) Control(f func(fd uintptr)) error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.l.closed {
		return net.ErrClosed
	}
	f(uintptr(c.l.fd))
	return nil
}

func (onlyControl) Read(func(uintptr) bool) error  { return errors.ErrUnsupported }
func (onlyControl) Write(func(uintptr) bool) error { return errors.ErrUnsupported }

// Close lets go of the socket. It never fails.
func (l *shared) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.ended)
	if l.ln != nil {
		// The deadline wakes a waiting Accept. Close alone would do for a descriptor
		// that is non-blocking; the deadline asks for less.
		setDeadline(l.ln, time.Unix(1, 0))
		l.ln.Close()
	}
	l.leaveLocked()
	return unix.Close(l.fd)
}
