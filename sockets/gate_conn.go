package sockets

import (
	"net"
	"sync"
)

// Counting is the same gate for a server that does not count its connections:
// each is held from Accept to its Close, see Quiet and Open. The connections
// are wrapped; those of TCP and Unix sockets keep every method they have
// (sendfile through ReadFrom, SyscallConn, CloseWrite).
func (g *Gate) Counting() net.Listener { return counting{g} }

type counting struct{ *Gate }

func (l counting) Accept() (net.Conn, error) {
	c, err := l.accept()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return l.wrap(c), nil
}

func (l counting) wrap(c net.Conn) net.Conn {
	h := &hold{gate: l.Gate}
	if s, ok := l.ln.(*shared); ok {
		s.seat.Enter(&h.guest)
	}
	switch c := c.(type) {
	case *net.TCPConn:
		return &tcpConn{c, h}
	case *net.UnixConn:
		return &unixConn{c, h}
	default:
		return &otherConn{c, h}
	}
}

// hold is a connection's place in the count, given back once.
type hold struct {
	gate  *Gate
	guest Guest
	once  sync.Once
}

func (h *hold) end() {
	h.once.Do(func() {
		h.guest.Leave()
		h.gate.open.Add(-1)
		h.gate.release()
	})
}

type (
	tcpConn struct {
		*net.TCPConn
		hold *hold
	}
	unixConn struct {
		*net.UnixConn
		hold *hold
	}
	otherConn struct {
		net.Conn
		hold *hold
	}
)

func (c *tcpConn) Close() error {
	defer c.hold.end()
	return c.TCPConn.Close()
}

func (c *unixConn) Close() error {
	defer c.hold.end()
	return c.UnixConn.Close()
}

func (c *otherConn) Close() error {
	defer c.hold.end()
	return c.Conn.Close()
}
