package master

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/master/pool"
)

// child is a process that this master started and has not reaped, or has
// reaped and is still hearing out: its last words may wait in the pipe.
type child struct {
	pid, slot  int
	gen        int
	signal     unix.Signal // asks it to leave if it does not take commands
	born       uint64      // its start time, which tells it from a later process of the same pid
	pipe       *os.File    // read end of its heartbeat pipe, owned by its reader
	pipeFD     int         // its number, as long as the reader runs
	reader     *pipeReader
	notify     *notifyReader     // nil for a native worker
	command    int               // our end of its command socket, non-blocking; -1 when closed
	commands   bool              // it reads the command socket
	seat       int               // its seat at the board, 0 = none
	shared     map[*listener]int // how many sockets of a group it was told of
	shares     bool              // and serves the sockets of others
	behind     bool              // it has not taken some
	junk       bool              // it wrote nonsense once, which was logged
	failed     string            // what its first stage said
	pipeOver   bool
	notifyOver bool        // nobody reads its notify socket
	resting    bool        // its reader has ended for the sake of an exec
	exit       *pool.Event // set once reaped
}

// farewell bounds how long a dead worker's pipe is read. Normally it ends at
// once; a process that left the worker's group may hold it open for ever.
const farewell = 100 * time.Millisecond

func newChild(pid, slot int, gen *generation, e *ends) *child {
	c := &child{pid: pid, slot: slot, gen: gen.Number, signal: unix.Signal(gen.Signal), born: startTime(pid), command: e.commandOurs}
	c.listen(e.pipeRead, wire.Lines{})
	c.listenToNotify(e.notify, e.notifyName)
	return c
}

// listen prepares a reader for the pipe; lines is what was read of it before.
func (c *child) listen(fd int, lines wire.Lines) {
	c.pipeFD, c.pipe = fd, os.NewFile(uintptr(fd), "heartbeat pipe")
	c.reader = &pipeReader{slot: c.slot, pid: c.pid, pipe: c.pipe, lines: lines}
}

// wake has a reader that has ended for the sake of an exec go on.
func (c *child) wake(events chan<- event) {
	_ = c.pipe.SetReadDeadline(time.Time{})
	go c.reader.run(events)
}

func (c *child) closeCommand() {
	if c.command >= 0 {
		_ = unix.Close(c.command)
		c.command = -1
	}
}

// tell sends one command, with descriptors. It does not block: a worker that
// does not read its socket is reached by signals.
func (c *child) tell(what wire.Command, fds ...int) error {
	if c.command < 0 {
		return errors.New("no command socket")
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	line := what.Append(nil)
	return unix.Sendmsg(c.command, line, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// A worker may say this much in this time; then its pipe is left to fill up, and
// its own writes are dropped. An honest one says a line a second, and in a storm
// some incidents with their stacks.
const (
	linesAtOnce = 256
	bytesAtOnce = 256 << 10
	linesPause  = 100 * time.Millisecond
)

// pipeReader is what is known of the worker while its pipe is read.
type pipeReader struct {
	slot, pid int
	pipe      *os.File
	events    chan<- event
	lines     wire.Lines
	said      int // lines and bytes since
	bytes     int
	since     time.Time
	farewell  atomic.Bool // set at the exit: a deadline is the end then, otherwise a rest
}

// run forwards what the worker says, until its end of the pipe is closed
// everywhere or the deadline that is set at its exit has passed; it then closes
// the file, which it owns. It also ends, and leaves the file open, when the loop
// wants it to rest.
func (p *pipeReader) run(events chan<- event) {
	p.events, p.since = events, time.Now()
	buf := make([]byte, 4<<10) // a few hundred lines at most between two pauses
	for {
		n, err := p.pipe.Read(buf)
		p.take(buf[:n])
		switch {
		case !p.farewell.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			p.tell(isResting, "")
			return
		case err != nil:
			_ = p.pipe.Close()
			p.end(err)
			return
		}
		p.pause()
	}
}

// rest has the reader end and leave what it has of an unfinished line in lines.
// The loop hears isResting then, or pipeOver if that came first.
func (p *pipeReader) rest() {
	if p.pipe != nil {
		_ = p.pipe.SetReadDeadline(time.Now())
	}
}

func (p *pipeReader) take(piece []byte) {
	before := p.lines.TooLong
	p.bytes += len(piece)
	p.lines.Feed(piece, func(line []byte) {
		p.said++
		e := understand(line, p.slot, p.pid)
		e.pipe = p.pipe
		p.events <- e
	})
	if p.lines.TooLong != before {
		p.tell(wasJunk, fmt.Sprintf("a line of more than %d bytes", wire.MaxLine))
	}
}

// pause lets a worker that says too much wait.
func (p *pipeReader) pause() {
	if p.said > linesAtOnce || p.bytes > bytesAtOnce {
		time.Sleep(linesPause - min(time.Since(p.since), linesPause))
		p.said, p.bytes, p.since = 0, 0, time.Now()
	}
}

func (p *pipeReader) end(err error) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		p.tell(wasJunk, err.Error())
	}
	p.tell(pipeOver, "")
}

func (p *pipeReader) tell(s said, why string) {
	p.events <- event{said: s, pipe: p.pipe, Event: pool.Event{PID: p.pid, Why: why}}
}

// understand turns a line into an event. Who said it is known from the pipe.
func understand(line []byte, slot, pid int) event {
	e := event{Event: pool.Event{Slot: slot, PID: pid}}
	msg, err := wire.Parse(line)
	if err != nil {
		e.said, e.Why = wasJunk, err.Error()
		return e
	}
	switch msg.Type {
	case wire.Begun:
		e.Kind = pool.BegunSaid
	case wire.Hello:
		e.Kind = pool.HelloSaid
	case wire.Ready:
		e.Kind, e.commands, e.shares = pool.ReadySaid, msg.Commands, msg.Commands && msg.Shares
	case wire.Beat:
		e.Kind = pool.BeatHeard
		e.Beat = pool.Beat{InFlight: msg.InFlight, OldestMS: msg.OldestMS, Connections: msg.Connections, Requests: msg.Requests, Stuck: msg.Stuck}
	case wire.Overdue:
		e.Kind, e.ID, e.overdue = pool.OverdueSaid, msg.ID, &msg
	case wire.Recovered:
		e.Kind, e.ID = pool.RecoveredSaid, msg.ID
	case wire.Draining:
		e.Kind = pool.DrainingSaid
	case wire.Reopen:
		e.said = askReopen
	case wire.Failed:
		e.said, e.Why = isFailed, msg.Reason
	default:
		e.said = forNobody // of a later version
	}
	return e
}
