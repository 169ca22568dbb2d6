package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/internal/handover"
	"github.com/fugue-http/fugue/master/pool"
)

// Trial says whether this program could go on with what another image of the
// master has written down, and with the settings as they are by now; it does not
// return. It is called instead of Run when handover.Trial says so.
func Trial(opt Options) {
	handover.SetVersion(opt.Version)
	handover.Answer(tryState(handover.Pending(), opt))
}

func tryState(note *handover.Note, opt Options) error {
	var s state
	if err := json.Unmarshal(note.State, &s); err != nil {
		return fmt.Errorf("the state of the running master: %w", err)
	}
	if _, err := pool.Restore(s.Pool); err != nil {
		return err
	}
	_, _, err := opt.Load()
	return err
}

// runOn is Run in an image that was executed in the place of another.
func (m *master) runOn(note *handover.Note) error {
	if err := m.takeOver(note); err != nil {
		handover.Back(err)
		return fatal("take over from the old program", err) // not even that
	}
	m.loop()
	return m.end()
}

// takeOver goes on where the old image has stopped. Up to handover.Taken it
// changes nothing; a panic before that is an error like others.
func (m *master) takeOver(note *handover.Note) (err error) {
	defer func() {
		if p := recover(); p != nil && handover.Pending() != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	var s state
	if err := json.Unmarshal(note.State, &s); err != nil {
		return fmt.Errorf("the state of the old program: %w", err)
	}
	if err := m.restore(s); err != nil {
		return err
	}
	m.launched, m.binary = note.Dir, s.Binary
	if err := handover.Taken(); err != nil {
		return err
	}
	m.goOn(s, note)
	return nil
}

// goOn starts what the old image has brought to rest, takes the workers over and
// finishes the upgrade.
func (m *master) goOn(s state, note *handover.Note) {
	m.timer = time.NewTimer(0)
	var err error
	if m.control, err = control.Serve(m.controlSocket, m.asks, m.queueOf); err != nil {
		m.log.Error("no control socket until the next start", "err", err)
	}
	if m.gen.program.fd != note.Image {
		_ = unix.Close(note.Image)
	}
	for _, c := range s.Children {
		m.takeChild(c)
	}
	m.reap()
	m.reopenLogs() // a signal that asked for it may have come between the two
	m.log.Info("took over", "version", m.opt.Version, "from", note.Version, "pid", os.Getpid(), "workers", len(m.children))
	m.step(pool.Event{Kind: pool.Ticked})
	m.continueChange(note)
}

// takeChild takes a worker over if it is the process that it was. A zombie is one
// still, and is reaped as any other; so is one of which /proc tells nothing.
func (m *master) takeChild(s childState) {
	if born := startTime(s.PID); !isChild(s.PID) || born != s.Born && born != 0 && s.Born != 0 {
		m.log.Warn("worker is gone", "worker", s.Slot, "pid", s.PID)
		m.step(pool.Event{Kind: pool.Exited, PID: s.PID, Why: "it was gone when the new program took over"})
		return
	}
	c := s.child()
	m.children[c.pid] = c
	m.seat(c)
	m.share(c)
	if !c.pipeOver {
		go c.reader.run(m.events)
	}
	if c.notify != nil {
		go c.notify.run(m.events)
	}
}

// continueChange goes on with the upgrade: the workers are of the old binary's
// time, and the file may have changed. An image that was gone back to only says
// what went wrong.
func (m *master) continueChange(note *handover.Note) {
	c := m.change
	switch {
	case c == nil:
	case note.Failed != "":
		m.fail(errors.New("the new program could not take over: " + note.Failed))
	default:
		m.changes++
		c.at = m.changes
		m.prepare(c)
	}
}
