package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// engine drives all connections from one thread.
type engine struct {
	options
	where   unix.Sockaddr
	family  int
	request []byte
	epoll   int
	timer   int
	conns   map[int]*conn
	idle    []*conn // open, without a request
	opened  int     // connections that were begun
	nextDue time.Time
	nextNew time.Time
	late    []time.Time // requests that were due and found no connection
	buf     []byte

	counted    time.Time // since when answers count
	answered   int64
	failed     int64
	firstError string
	times      *hdrhistogram.Histogram
	who        map[string]int64
}

// conn is one connection and at most one request on it.
type conn struct {
	fd   int
	due  time.Time // when its request was to be sent
	sent bool
	got  answer
}

func newEngine(o options) (*engine, error) {
	e := &engine{options: o, conns: map[int]*conn{}, buf: make([]byte, 256<<10),
		times: hdrhistogram.New(1, 60_000_000, 3), who: map[string]int64{}}
	var err error
	if e.where, e.family, err = resolve(o.address); err != nil {
		return nil, err
	}
	e.request = []byte("GET " + o.path + " HTTP/1.1\r\nHost: bench\r\n")
	if o.close {
		e.request = append(e.request, "Connection: close\r\n"...)
	}
	e.request = append(e.request, "\r\n"...)
	if e.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if e.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	return e, unix.EpollCtl(e.epoll, unix.EPOLL_CTL_ADD, e.timer, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(e.timer)})
}

func resolve(address string) (unix.Sockaddr, int, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return &unix.SockaddrUnix{Name: path}, unix.AF_UNIX, nil
	}
	a, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, 0, err
	}
	return &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}, unix.AF_INET, nil
}

// loop runs until the time is over. Time counts from when all kept connections
// are open.
func (e *engine) loop(now time.Time) error {
	e.counted, e.nextDue, e.nextNew = now, now, now
	end := now.Add(e.length)
	if e.stagger > 0 {
		end = end.Add(time.Duration(e.options.conns) * e.stagger)
	}
	events := make([]unix.EpollEvent, 256)
	for now.Before(end) {
		e.begin(now)
		e.wake(now, end)
		n, err := unix.EpollWait(e.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		now = time.Now()
		for _, ev := range events[:max(n, 0)] {
			if fd := int(ev.Fd); fd != e.timer {
				e.serve(e.conns[fd], now)
			}
		}
	}
	return nil
}

// begin opens connections and sends what is due.
func (e *engine) begin(now time.Time) {
	if e.rate == 0 {
		e.beginClosed(now)
		return
	}
	every := time.Duration(float64(time.Second) / e.rate)
	for !e.nextDue.After(now) {
		e.late = append(e.late, e.nextDue)
		e.nextDue = e.nextDue.Add(every)
	}
	for len(e.late) > 0 && e.start(e.late[0]) {
		e.late = e.late[1:]
	}
}

func (e *engine) beginClosed(now time.Time) {
	for len(e.idle) > 0 && e.stagger == 0 && e.start(now) {
	}
	for len(e.conns) < e.options.conns && !e.nextNew.After(now) && e.open(now) {
		if e.stagger == 0 {
			continue
		}
		e.nextNew = e.nextNew.Add(e.stagger)
		if e.opened++; e.opened == e.options.conns {
			e.reset(now)
		}
	}
}

// reset forgets what was counted while connections were still being opened.
func (e *engine) reset(now time.Time) {
	e.counted, e.answered = now, 0
	e.times.Reset()
	clear(e.who)
}

// start sends a request that was due at a time, on an idle connection or a new one.
func (e *engine) start(due time.Time) bool {
	if n := len(e.idle); n > 0 {
		c := e.idle[n-1]
		e.idle = e.idle[:n-1]
		c.due = due
		e.send(c)
		return true
	}
	return len(e.conns) < e.options.conns && e.open(due)
}

func (e *engine) open(due time.Time) bool {
	fd, err := unix.Socket(e.family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		e.fail(nil, err)
		return false
	}
	if e.family == unix.AF_INET {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	c := &conn{fd: fd, due: due}
	err = unix.Connect(fd, e.where)
	if errors.Is(err, unix.EAGAIN) { // a Unix socket's queue is full: it would wait
		_ = unix.Close(fd)
		e.nextNew = time.Now().Add(100 * time.Microsecond)
		return false
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		e.fail(nil, err)
		return false
	}
	e.conns[fd] = c
	ev := &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(e.epoll, unix.EPOLL_CTL_ADD, fd, ev); err != nil {
		e.fail(c, err)
		return false
	}
	if e.family == unix.AF_UNIX {
		e.send(c)
	}
	return true
}

func (e *engine) send(c *conn) {
	c.sent = true
	if _, err := unix.Write(c.fd, e.request); err != nil {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOTCONN) {
			c.sent = false
			return
		}
		e.fail(c, err)
	}
}

// serve goes on with a connection that has become readable or writable.
func (e *engine) serve(c *conn, now time.Time) {
	if c == nil {
		return
	}
	if !c.sent && !c.due.IsZero() {
		e.send(c)
	}
	for e.conns[c.fd] == c {
		n, err := unix.Read(c.fd, e.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR):
		case err != nil:
			e.fail(c, err)
		case n == 0:
			e.ended(c)
		default:
			if c.got.feed(e.buf[:n]) {
				e.finish(c, now)
			}
			if n < len(e.buf) && !e.close {
				return // edge-triggered: what comes later is told
			}
		}
	}
}

var errEarly = errors.New("the server closed the connection before the answer was complete")

// ended: the server has closed.
func (e *engine) ended(c *conn) {
	if c.sent {
		e.fail(c, errEarly)
		return
	}
	e.drop(c)
}

// finish counts a whole answer.
func (e *engine) finish(c *conn, now time.Time) {
	e.answered++
	if c.got.status != 200 {
		e.note(fmt.Errorf("status %d", c.got.status))
	}
	_ = e.times.RecordValue(max(1, now.Sub(c.due).Microseconds())) // beyond a minute: not in a run this short
	if len(c.got.body) > 0 {
		e.who[string(c.got.body)]++
	}
	closes := e.close || c.got.closes
	c.due, c.sent, c.got = time.Time{}, false, answer{}
	switch {
	case closes:
		e.drop(c)
	case e.rate == 0 && e.stagger > 0:
		c.due = now
		e.send(c)
	default:
		e.idle = append(e.idle, c)
	}
}

func (e *engine) fail(c *conn, err error) {
	e.note(err)
	if c != nil {
		e.drop(c)
	}
}

func (e *engine) note(err error) {
	if e.failed++; e.firstError == "" {
		e.firstError = err.Error()
	}
}

func (e *engine) drop(c *conn) {
	delete(e.conns, c.fd)
	_ = unix.Close(c.fd)
	for i, o := range e.idle {
		if o == c {
			e.idle = append(e.idle[:i], e.idle[i+1:]...)
			break
		}
	}
}

// wake has the wait end when the next thing is due.
func (e *engine) wake(now, end time.Time) {
	at := end
	if e.rate > 0 {
		at = earlier(at, e.nextDue)
	}
	if len(e.conns) < e.options.conns && e.rate == 0 {
		at = earlier(at, e.nextNew)
	}
	if len(e.late) > 0 {
		at = earlier(at, now.Add(100*time.Microsecond))
	}
	in := max(time.Microsecond, at.Sub(now))
	_ = unix.TimerfdSettime(e.timer, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(in.Nanoseconds())}, nil)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
