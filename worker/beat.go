package worker

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
)

// word is a message for the pipe that must not be dropped.
type word struct {
	message wire.Message
	said    chan<- error // gets one answer when it was written or is owed
}

// say hands m to the goroutine that owns the pipe and returns when it is written
// (or, the pipe being full, noted: it is written when there is room). It never
// waits for the master. Alone it says nothing.
func (w *worker) say(m wire.Message) error {
	if w.pipe < 0 {
		return nil
	}
	said := make(chan error, 1)
	select {
	case w.words <- word{m, said}:
		return <-said
	case <-w.silent:
		return fmt.Errorf("say %s: the master is gone", m.Type)
	}
}

// beat owns the write end of the heartbeat pipe: it beats every BeatEvery and
// writes what others say. It ends, and orphans the worker, when the master has
// closed its end; otherwise with the process.
func (w *worker) beat(fd int) {
	defer close(w.silent)
	unix.SetNonblock(fd, true) // the master made it so; a worker must never block on it
	out := pipe{fd: fd}
	next := time.NewTimer(inStep(w.settings.BeatEvery, clock()))
	defer next.Stop()
	for {
		var err error
		select {
		case s := <-w.words:
			err = out.write(s.message, true)
			s.said <- err
			if len(out.owed) > 0 {
				next.Reset(payEvery)
			}
		case <-next.C:
			err = out.write(w.load(), false)
			next.Reset(w.pause(&out))
		}
		if err != nil {
			w.orphan()
			return
		}
	}
}

// pause is the time to the next beat: shorter while a request is near its limit
// or beyond it, for then somebody is looking, and shortest while the pipe is full.
func (w *worker) pause(out *pipe) time.Duration {
	every := w.settings.BeatEvery
	if len(out.owed) > 0 {
		return payEvery
	}
	if s := w.watch.Snapshot(); s.Stuck > 0 || s.Due >= 0 && s.Due < every {
		return max(every/4, fastest)
	}
	return inStep(every, clock())
}

// inStep shortens a pause by at most a tenth, so that it ends at a moment at which
// other workers beat as well: the master then wakes up for many of them at a time,
// not a hundred times a second for a hundred workers. Not all beat at one moment
// either; when a worker was started decides in which tenth it does.
func inStep(every, now time.Duration) time.Duration {
	return every - (now+every)%max(every/10, 1)
}

// clock is the machine's, the same for all processes.
func clock() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // then beats are not in step
	}
	return time.Duration(ts.Nano())
}

const (
	payEvery = 10 * time.Millisecond
	fastest  = 50 * time.Millisecond
)

// load is the state that a beat tells.
func (w *worker) load() wire.Message {
	s := w.watch.Snapshot()
	m := wire.Message{
		Type:        wire.Beat,
		InFlight:    int64(s.InFlight),
		OldestMS:    s.Oldest.Milliseconds(),
		Connections: w.conns.held(),
		Requests:    s.Requests,
		Stuck:       int64(s.Stuck),
		TimedOut:    s.TimedOut,
		SlowClients: s.SlowClients,
	}
	for _, g := range w.taken.gates { // a worker with a pipe has taken them in attach
		m.Connections += g.Open()
	}
	return m
}

// Bounds on what waits for room in a full pipe, in bytes. Incidents come with
// their stacks up to the first one, without beyond it; a handful of words (ready,
// draining, reopen) is far below.
const (
	owedStacks = 512 << 10
	maxOwed    = 1 << 20
)

// pipe writes lines without ever blocking.
//
// A write of at most PIPE_BUF bytes (4096 on Linux) into a non-blocking pipe is
// all or nothing, see pipe(7): a beat is written whole or dropped, and the lines
// keep their frame. Should a longer line be cut, its rest goes first next time.
type pipe struct {
	fd   int
	owed []byte // to be written before anything else
}

// write writes m. If there is no room, m is owed when it must arrive, else
// dropped. An error means that nobody reads any more.
func (p *pipe) write(m wire.Message, must bool) error {
	if err := p.pay(); err != nil {
		return err
	}
	if len(p.owed) > owedStacks {
		m.Stack = ""
	}
	line := m.Append(nil)
	if len(p.owed) > 0 {
		p.owe(line, must)
		return nil
	}
	n, err := writeSome(p.fd, line)
	p.owe(line[n:], must || n > 0)
	return err
}

// pay writes what is owed, as far as there is room.
func (p *pipe) pay() error {
	if len(p.owed) == 0 {
		return nil
	}
	n, err := writeSome(p.fd, p.owed)
	p.owed = append(p.owed[:0], p.owed[n:]...)
	return err
}

func (p *pipe) owe(rest []byte, must bool) {
	if must && len(p.owed)+len(rest) <= maxOwed {
		p.owed = append(p.owed, rest...)
	}
}

// writeSome returns how much there was room for; a full pipe is no error.
func writeSome(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Write(fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return 0, nil
		}
		return max(n, 0), err
	}
}
