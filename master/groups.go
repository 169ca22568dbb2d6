package master

import (
	"errors"
	"fmt"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/sockets"
)

// A listener with reuseport is a group of sockets (sockets.Listener.Grow), one for
// each slot that there has ever been. The worker in a slot is started with the socket
// of that slot, its successors too, and what waits there is the master's in between.
// A socket is never closed as long as its address is listened on: that would reset
// what is queued there. The sockets of slots that nobody is in are served by the
// neighbours, who are handed all sockets for that.

// widen opens a socket for a slot that has none yet. If that cannot be done, the worker
// shares that of another.
func (m *master) widen(slot int, gen *generation) {
	grown := false
	for _, l := range gen.listeners {
		before := len(l.FDs())
		if !l.Grouped() || slot <= before {
			continue
		}
		if err := l.Grow(slot, l.options); errors.Is(err, sockets.ErrFull) {
			m.log.Debug("worker shares a socket", "worker", slot, "addr", l.Address(), "err", err)
		} else if err != nil {
			m.log.Warn("worker shares a socket", "worker", slot, "addr", l.Address(), "err", err)
		}
		grown = grown || len(l.FDs()) > before
	}
	if grown {
		for _, c := range m.children {
			m.share(c)
		}
	}
}

// share hands a worker that says that it serves them the sockets of all groups, as far as it does
// not have them. It does not wait: what the worker does not take now it is offered again
// when it is next heard from.
func (m *master) share(c *child) {
	c.behind = false
	if !c.shares || c.exit != nil {
		return
	}
	for _, l := range m.listeners {
		fds := l.FDs()
		if !l.Grouped() || len(fds) < 2 || c.shared[l] >= len(fds) {
			continue
		}
		if err := c.tell(wire.Command{Type: wire.CommandShare, Group: l.Group()}, fds[c.shared[l]:]...); err != nil {
			m.log.Debug("worker does not take sockets", "worker", c.slot, "pid", c.pid, "err", err)
			c.behind = true
			continue
		}
		if c.shared == nil {
			c.shared = map[*listener]int{}
		}
		c.shared[l] = len(fds)
	}
}

// noteForeign notes whether the workers of a generation serve the sockets of others.
func (m *master) noteForeign(number, pid int) {
	g, c := m.generation(number), m.children[pid]
	if g == nil || c == nil || g.Foreign == !c.shares {
		return
	}
	if g.Foreign = !c.shares; !g.Foreign {
		return
	}
	for _, l := range g.listeners {
		if n := len(l.FDs()); l.Grouped() && n > m.pool.Wish() {
			m.log.Warn("some sockets are served by nobody, since the app serves only its workers' own", "addr", l.Address(), "sockets", n, "workers", m.pool.Wish())
		}
	}
}

// tooFew says why there cannot be n workers, "" if there can: each socket of a group
// needs a worker, unless workers help each other. None at all may be wished for;
// clients wait then, as with any listener.
func (m *master) tooFew(n int) string {
	if n <= 0 || !m.gen.Foreign {
		return ""
	}
	for _, l := range m.listeners {
		if k := len(l.FDs()); l.Grouped() && n < k {
			return fmt.Sprintf("%d workers are too few for the %d sockets of %s (reuseport): each worker of this app serves its own only, so nobody would serve those that are left; stop and start with fewer",
				n, k, l.Address())
		}
	}
	return ""
}
