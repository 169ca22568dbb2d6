package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/fugue-http/fugue/internal/handover"
)

// trialLimit is how long a new binary may take for each of its two trials.
const trialLimit = 10 * time.Second

// quiesceLimit is how long the master waits for its own goroutines to come to
// rest before it executes another binary. They need some milliseconds, a reader
// that is throttled needs a tenth of a second.
const quiesceLimit = time.Second

// binaryPath is where a new version of this program, which was started in the folder
// dir, will be found. The name that it was started by may be a link that deploys
// change; what the kernel knows is where that led to at the time.
func binaryPath(dir string) string {
	self, err := os.Executable()
	named := os.Args[0]
	if !strings.Contains(named, "/") {
		named, _ = exec.LookPath(named) // "" if it is not there
	}
	if named != "" && !filepath.IsAbs(named) {
		named = filepath.Join(dir, named)
	}
	if filepath.IsAbs(named) && (err != nil || sameFile(named, "/proc/self/exe")) {
		return named
	}
	return self
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// tryImage tries the new binary as a child: with -t, and as it would be executed.
func (m *master) tryImage(c *change) {
	at, path, preflight, dir := c.at, m.binary, m.opt.Preflight, m.launched
	note, err := m.note(nil)
	var ctx context.Context
	ctx, c.cancel = context.WithCancelCause(context.Background())
	go func() {
		p := prepared{at: at, upgrade: true, program: handover.Named(path), err: err}
		if err == nil {
			p.program, p.err = openImage(path)
		}
		if p.err == nil {
			p.version, p.err = tryImage(ctx, p.program, preflight, dir, note)
		}
		if p.err != nil {
			p.err = fmt.Errorf("the new program is refused: %w", p.err)
		}
		m.reports <- p
	}()
}

func tryImage(ctx context.Context, p handover.Program, preflight []string, dir string, note handover.Note) (version string, err error) {
	if preflight != nil {
		if err := handover.Check(ctx, p, preflight, dir, trialLimit); err != nil {
			return "", err
		}
	}
	return handover.Try(ctx, p, os.Args, note, trialLimit)
}

// tryExec executes the binary that has passed its trial, unless processes are
// about to be started; then it is called again later.
func (m *master) tryExec() {
	c := m.change
	if c == nil || !c.tried || len(m.toSpawn) > 0 || m.pool.Stopping() {
		return
	}
	c.tried = false
	err := m.quiesce()
	switch {
	case m.change != c: // a stop was asked for meanwhile
	case err != nil:
		m.fail(err)
	case len(m.toSpawn) > 0: // a worker has died meanwhile, or one more is wished for
		c.tried = true
	default:
		m.fail(m.exec(c.program))
	}
	m.unquiesce()
}

// quiesce brings everything to rest that would not survive the exec: clients of
// the control socket are answered, the readers of the pipes hand over what they
// have, children that have died are heard out. What arrives meanwhile is taken.
func (m *master) quiesce() error {
	m.quiescing = true
	idle := m.control.Suspend()
	for _, c := range m.children {
		c.reader.rest()
		c.notify.rest()
	}
	late := time.NewTimer(quiesceLimit)
	defer late.Stop()
	for idle != nil || !m.allRest() {
		select {
		case <-idle:
			idle = nil
		case e := <-m.events:
			m.hear(e)
		case a := <-m.asks:
			m.answer(a)
		case <-m.signals.children:
			m.reap()
		case <-late.C:
			if !m.allRest() {
				return errors.New("the readers of the workers' pipes did not come to rest; try again")
			}
			idle = nil // a client that does not read its answer loses it
		}
	}
	m.lastSignals()
	return nil
}

// allRest says that no reader runs and nobody is half reaped.
func (m *master) allRest() bool {
	for _, c := range m.children {
		if !c.resting && !(c.pipeOver && c.exit == nil) || !c.notifyRests() {
			return false
		}
	}
	return len(m.events) == 0
}

// lastSignals takes those that have arrived and would be lost. A stop goes first.
func (m *master) lastSignals() {
	for {
		select {
		case s := <-m.signals.stops:
			m.obey(s)
			return
		case s := <-m.signals.others:
			m.obey(s)
		default:
			return
		}
	}
}

// unquiesce goes on as before.
func (m *master) unquiesce() {
	m.quiescing = false
	m.signals.catch()
	for _, c := range m.children {
		c.wakeNotify(m.events)
		if c.resting {
			c.resting = false
			c.wake(m.events)
		} else if c.exit == nil && c.pipe != nil {
			_ = c.pipe.SetReadDeadline(time.Time{})
		}
	}
	m.control.Resume()
	m.reap()
}

// exec executes p. It returns only if that fails.
func (m *master) exec(p handover.Program) error {
	note, err := m.note(m.change)
	if err != nil {
		return err
	}
	m.log.Info("executing the new program", "path", p.Path)
	m.output.writer.close()
	note.Last = m.lastCall
	err = handover.Exec(p, note)
	m.signals.putBack()
	m.output.restart()
	m.log = m.output.log
	return err
}

// lastCall gives TERM, QUIT and INT their default back, and looks whether one has
// arrived since the last look: in the channel it would be lost with this image. It
// is put back for the loop then. What else has arrived goes with the note. Process 1
// has no defaults, and the runtime would end it, with all its workers.
func (m *master) lastCall() ([]os.Signal, error) {
	if os.Getpid() != 1 {
		signal.Stop(m.signals.stops)
	}
	handover.Settle()
	select {
	case s := <-m.signals.stops:
		m.signals.stops <- s
		return nil, errors.New("the server stops")
	default:
		return m.signals.takeOthers(), nil
	}
}

// note writes down everything that the next image needs to go on; c is the
// change that it is to finish, nil for a trial.
func (m *master) note(c *change) (handover.Note, error) {
	image, err := m.image()
	if err != nil {
		return handover.Note{}, err
	}
	s := m.save(c)
	text, err := json.Marshal(s)
	if err != nil {
		return handover.Note{}, err
	}
	return handover.Note{Format: handover.Format, Version: m.opt.Version, PID: os.Getpid(), Image: image, FDs: s.descriptors(),
		Dir: m.launched, State: text}, nil
}

// image is a descriptor of the binary that runs now, opened once.
func (m *master) image() (int, error) {
	if m.imageFD == 0 {
		fd, err := openForExec(self())
		if err != nil {
			return -1, fmt.Errorf("the running program: %w", err)
		}
		m.imageFD = fd
	}
	return m.imageFD, nil
}

// spawnsDone lets an upgrade go on that had to wait for them.
func (m *master) spawnsDone() {
	if m.change != nil && m.change.tried && len(m.toSpawn) == 0 {
		m.tryExec()
	}
}
