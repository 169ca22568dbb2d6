package master

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/master/pool"
)

// child is a process that this master started and has not reaped, or has
// reaped and is still hearing out: its last words may wait in the pipe.
type child struct {
	pid, slot int
	pipe      *os.File // read end of its heartbeat pipe, owned by its reader
	command   int      // our end of its command socket, non-blocking; -1 when closed
	commands  bool     // it reads the command socket
	junk      bool     // it wrote nonsense once, which was logged
	failed    string   // what its first stage said
	pipeOver  bool
	exit      *pool.Event // set once reaped
}

// farewell bounds how long a dead worker's pipe is read. Normally it ends at
// once; a process that left the worker's group may hold it open for ever.
const farewell = 100 * time.Millisecond

func (c *child) closeCommand() {
	if c.command >= 0 {
		_ = unix.Close(c.command)
		c.command = -1
	}
}

// tell sends one command, with descriptors. It does not block: a worker that
// does not read its socket is reached by signals.
func (c *child) tell(t wire.CommandType, fds ...int) error {
	if c.command < 0 {
		return errors.New("no command socket")
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	line := wire.Command{Type: t}.Append(nil)
	return unix.Sendmsg(c.command, line, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// A worker may say this much in this time; then its pipe is left to fill up, and
// its own writes are dropped. An honest one says a line a second.
const (
	linesAtOnce = 256
	linesPause  = 100 * time.Millisecond
)

// readPipe forwards what the worker says, until its end of the pipe is closed
// everywhere or the deadline that is set at its exit has passed. It owns the
// file and closes it.
func readPipe(r *os.File, slot, pid int, events chan<- event) {
	defer r.Close()
	var lines wire.Lines
	buf := make([]byte, 4<<10) // a few hundred lines at most between two pauses
	said, since := 0, time.Now()
	for {
		n, err := r.Read(buf)
		before := lines.TooLong
		lines.Feed(buf[:n], func(line []byte) {
			said++
			events <- understand(line, slot, pid)
		})
		if lines.TooLong != before {
			events <- event{said: wasJunk, Event: pool.Event{PID: pid}}
		}
		if said > linesAtOnce || lines.TooLong != before {
			time.Sleep(linesPause - min(time.Since(since), linesPause))
			said, since = 0, time.Now()
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
				events <- event{said: wasJunk, Event: pool.Event{PID: pid, Why: err.Error()}}
			}
			events <- event{said: pipeOver, Event: pool.Event{PID: pid}}
			return
		}
	}
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
	case wire.Hello:
		e.Kind = pool.HelloSaid
	case wire.Ready:
		e.Kind, e.commands = pool.ReadySaid, msg.Commands
	case wire.Beat:
		e.Kind = pool.BeatHeard
		e.Beat = pool.Beat{InFlight: msg.InFlight, OldestMS: msg.OldestMS, Connections: msg.Connections, Requests: msg.Requests}
	case wire.Draining:
		e.Kind = pool.DrainingSaid
	case wire.Reopen:
		e.said = askReopen
	case wire.Failed:
		e.said, e.Why = isFailed, msg.Reason
	default:
		e.Kind = pool.HelloSaid // a type of a later version: at least it speaks
	}
	return e
}
