package master

import (
	"time"

	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/master/pool"
)

// reopenPause bounds how often a worker can make the master open its log files.
const reopenPause = time.Second

// hear takes what came through a worker's pipe.
func (m *master) hear(e event) {
	c := m.children[e.PID]
	if c == nil || c.pipe != e.pipe {
		return
	}
	switch e.said {
	case forNobody:
	case pipeOver:
		c.pipeOver = true
		m.heardOut(c)
	case notifyOver:
		c.notifyOver = true
		if !m.quiescing {
			c.wakeNotify(m.events)
		}
	case saysStatus:
		m.log.Debug("worker says", "worker", c.slot, "pid", c.pid, "status", e.Why)
	case isResting:
		m.rested(c)
	case wasJunk:
		m.junk(c, e.Why)
	case isFailed:
		c.failed = clip(control.Printable(e.Why), 500)
	case askReopen:
		m.workerAsksReopen()
	default:
		m.hearWorker(c, e)
	}
}

// rested notes that nobody reads c's pipe. If c is dead there is nothing more to
// read.
func (m *master) rested(c *child) {
	switch {
	case c.exit != nil:
		_ = c.pipe.Close()
		c.pipeOver = true
		m.heardOut(c)
	case m.quiescing:
		c.resting = true
	default:
		c.wake(m.events)
	}
}

func (m *master) hearWorker(c *child, e event) {
	if c.behind {
		m.share(c) // it is alive, and may take it by now
	}
	switch e.Kind {
	case pool.ReadySaid:
		m.graduate(c, e.commands, e.shares)
	case pool.OverdueSaid:
		e.ID = incidentID(c.pid, e.ID)
		m.noteOverdue(c, e.ID, e.overdue)
	case pool.RecoveredSaid:
		e.ID = incidentID(c.pid, e.ID)
		m.noteRecovered(c, e.ID)
	}
	m.step(e.Event)
}

// graduate notes what a ready worker can do: one that takes commands also takes
// descriptors, and needs the log process no longer. One that has a file has it
// from its start, and a rotation since has passed it by.
func (m *master) graduate(c *child, commands, shares bool) {
	if !commands || c.commands {
		return
	}
	c.commands, c.shares = true, shares
	m.seat(c)
	m.share(c)
	if !m.output.fifo && (m.output.piped || m.output.file >= 0) {
		m.handLogs(c)
	}
}

func (m *master) junk(c *child, why string) {
	m.pipeJunk++
	if !c.junk {
		c.junk = true
		m.log.Warn("worker writes nonsense into its pipe; more of it is only counted",
			"worker", c.slot, "pid", c.pid, "err", clip(why, 200))
	}
}

func (m *master) workerAsksReopen() {
	if now := time.Now(); now.Sub(m.reopened) >= reopenPause {
		m.reopenLogs()
	}
}

// heardOut ends a child that is reaped and has nothing more to say.
func (m *master) heardOut(c *child) {
	if c.exit == nil || !c.pipeOver {
		return
	}
	delete(m.children, c.pid)
	c.closeCommand()
	c.closeNotify()
	if c.failed != "" {
		c.exit.Why = c.failed
	}
	m.step(*c.exit)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
