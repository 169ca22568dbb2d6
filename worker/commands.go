package worker

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
)

// maxDescriptors is how many descriptors one read takes in: as many as a message can
// carry (SCM_MAX_FD in the kernel). A reopen has two, a share as many as there are
// workers.
const maxDescriptors = 253

// obey reads the command socket and does what the master says. Its EOF, or any
// error, means that the master is gone; then the worker is an orphan and obey
// ends.
func (w *worker) obey(c *net.UnixConn) {
	defer w.orphan()
	defer c.Close()
	var lines wire.Lines
	var mail mailbag
	defer mail.discard()
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4*maxDescriptors))
	for {
		n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
		if err != nil || n == 0 {
			return
		}
		mail.add(oob[:oobn])
		lines.Feed(buf[:n], func(line []byte) { w.carryOut(line, &mail) })
		if buf[n-1] == '\n' {
			mail.discard() // no line is left that they could belong to
		}
	}
}

// carryOut does what one line says. What it does not know it ignores, so that
// newer masters can talk to older workers.
func (w *worker) carryOut(line []byte, mail *mailbag) {
	c, err := wire.ParseCommand(line)
	if err != nil {
		return
	}
	switch c.Type {
	case wire.CommandDrain:
		if c.Last {
			w.becomeLast()
		}
		w.drain()
	case wire.CommandStop:
		w.stop()
	case wire.CommandReopen:
		if out, errs, ok := mail.take2(); ok {
			reopen(out, errs)
		}
	case wire.CommandSeat:
		if fd, ok := mail.take1(); ok {
			_ = w.seat.Take(fd, c.Seat) // without it connections are accepted as from any listener
			unix.Close(fd)
		}
	case wire.CommandShare:
		w.seat.Share(c.Group, mail.takeAll())
	}
}

// reopen puts the received descriptors in the place of stdout and stderr. The
// change is atomic: each line goes whole to the old file or to the new one.
func reopen(out, errs int) {
	_ = dupOnto(out, 1) // fails only for descriptors that are none
	_ = dupOnto(errs, 2)
	unix.Close(out)
	unix.Close(errs)
}

// mailbag holds descriptors that were received and have no owner yet.
type mailbag struct{ fds []int }

// add takes the descriptors out of a control message. They are close-on-exec:
// ReadMsgUnix asks the kernel for that.
func (m *mailbag) add(oob []byte) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for i := range messages {
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			m.fds = append(m.fds, fds...)
		}
	}
	if len(m.fds) > maxDescriptors {
		m.discard() // no line ever takes that many
	}
}

func (m *mailbag) take1() (fd int, ok bool) {
	if len(m.fds) < 1 {
		return -1, false
	}
	fd = m.fds[0]
	m.fds = m.fds[1:]
	return fd, true
}

func (m *mailbag) take2() (a, b int, ok bool) {
	if len(m.fds) < 2 {
		return -1, -1, false
	}
	a, b = m.fds[0], m.fds[1]
	m.fds = m.fds[2:]
	return a, b, true
}

// takeAll takes what came with a line: a read ends with the message that had some.
func (m *mailbag) takeAll() (fds []int) {
	fds, m.fds = m.fds, nil
	return fds
}

func (m *mailbag) discard() {
	for _, fd := range m.fds {
		unix.Close(fd)
	}
	m.fds = nil
}
