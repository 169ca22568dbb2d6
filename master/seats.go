package master

import (
	"errors"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/sockets"
)

// seat gives a worker that takes commands a place among those that share out the
// connections (sockets.Seat). One without a place accepts like any process, so
// nothing here is more than a warning. The board lives as long as this image of the
// master: after an upgrade all are seated anew.
func (m *master) seat(c *child) {
	if !c.commands || c.exit != nil || !m.haveBoard() {
		return
	}
	m.tellListeners()
	if c.seat = m.board.Sit(); c.seat == 0 {
		return // more processes than seats
	}
	if err := c.tell(wire.Command{Type: wire.CommandSeat, Seat: c.seat}, m.board.FD()); err != nil {
		m.log.Debug("worker does not take a seat", "worker", c.slot, "pid", c.pid, "err", err)
		m.unseat(c)
	}
}

// haveBoard makes it for the first worker that can use it.
func (m *master) haveBoard() bool {
	if m.board != nil || m.boardless {
		return m.board != nil
	}
	var err error
	if m.board, err = sockets.NewBoard(); err != nil {
		m.boardless = true // once is enough
		if !errors.Is(err, errors.ErrUnsupported) {
			m.log.Warn("workers accept without regard to each other", "err", err)
		}
	}
	return err == nil
}

// tellListeners keeps the board's list of them.
func (m *master) tellListeners() { m.board.Know(common(m.listeners)) }

// common are the listeners that all workers accept from. Nobody is to stand back from
// a socket that it alone serves.
func common(all []*listener) (list []*sockets.Listener) {
	for _, l := range all {
		if !l.Grouped() {
			list = append(list, l.Listener)
		}
	}
	return list
}

// discount has what a leaving worker holds count no more: the others take its share.
func (m *master) discount(pid int) {
	if c := m.children[pid]; c != nil && c.seat > 0 {
		m.board.Clear(c.seat)
	}
}

// unseat takes back the seat of a worker that is gone, whatever it has left there.
func (m *master) unseat(c *child) {
	if c.seat > 0 {
		m.board.Leave(c.seat)
		c.seat = 0
	}
}
