package master

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/master/pool"
)

// perform carries out one effect. A spawn has its turn later.
func (m *master) perform(e pool.Effect) {
	switch e.Do {
	case pool.Spawn:
		m.toSpawn = append(m.toSpawn, e)
	case pool.Recall:
		m.log.Debug("worker is recalled", "worker", e.Slot, "pid", e.PID, "why", e.Why)
		m.recall(e.PID)
	case pool.Drain:
		m.log.Debug("worker drains", "worker", e.Slot, "pid", e.PID, "why", e.Why)
		m.discount(e.PID)
		m.command(e.PID, wire.Command{Type: wire.CommandDrain, Last: m.pool.Leaving()}, unix.SIGQUIT)
	case pool.Stop:
		m.log.Debug("worker is stopped", "worker", e.Slot, "pid", e.PID, "why", e.Why)
		m.discount(e.PID)
		m.command(e.PID, wire.Command{Type: wire.CommandStop}, unix.SIGTERM)
	case pool.Abort:
		m.log.Warn("worker aborted", "worker", e.Slot, "pid", e.PID, "why", e.Why)
		m.signal(e.PID, unix.SIGABRT)
	case pool.Kill:
		m.log.Warn("worker killed", "worker", e.Slot, "pid", e.PID, "cause", e.Cause.String(), "why", e.Why)
		m.signal(-e.PID, unix.SIGKILL)
		m.signal(e.PID, unix.SIGKILL) // it may have left its group (setpgid(2))
	case pool.Exit:
		m.over, m.code, m.why = true, e.Code, e.Why
	case pool.TellCondemned:
		m.log.Warn("worker is to be replaced", "worker", e.Slot, "pid", e.PID, "cause", e.Cause.String(), "why", e.Why)
	case pool.TellPardoned:
		m.log.Info("worker may stay: its stuck requests have ended", "worker", e.Slot, "pid", e.PID)
	case pool.TellCommitted:
		m.commit()
	case pool.TellRolled:
		m.rolled()
	case pool.TellAborted:
		m.aborted(e.Why)
	case pool.TellReady:
		m.prove(e.Gen, e.PID)
		m.noteForeign(e.Gen, e.PID)
		m.log.Info("worker ready", "worker", e.Slot, "pid", e.PID, "gen", e.Gen, "after", e.After)
	case pool.TellGone:
		m.tellGone(e)
	case pool.TellBackoff:
		m.log.Warn("worker start delayed", "worker", e.Slot, "after", e.After, "why", e.Why)
	}
}

// always is ready to be received from.
var always = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// spawnTurn is ready when a process is to be started. That takes milliseconds, on
// a busy machine tens of them, and there may be hundreds to start: whoever has
// something to say to the loop must not wait for all of them.
func (m *master) spawnTurn() <-chan struct{} {
	if len(m.toSpawn) == 0 {
		return nil
	}
	return always
}

// spawnNext starts the process whose turn it is, and tells the pool.
func (m *master) spawnNext() {
	e := m.toSpawn[0]
	m.toSpawn = m.toSpawn[1:]
	m.step(m.performSpawn(e))
	m.spawnsDone()
}

func (m *master) performSpawn(e pool.Effect) pool.Event {
	gen := m.generation(e.Gen)
	if m.pool.Leaving() || gen == nil {
		return pool.Event{Kind: pool.SpawnFailed, Slot: e.Slot, Gen: e.Gen, Why: "it is not wished for any more"}
	}
	c, err := m.spawn(e.Slot, gen)
	if err != nil {
		m.spawnFail++
		m.log.Error("worker not started", "worker", e.Slot, "err", err)
		return pool.Event{Kind: pool.SpawnFailed, Slot: e.Slot, Gen: e.Gen, Why: err.Error()}
	}
	m.log.Debug("worker started", "worker", e.Slot, "pid", c.pid, "gen", e.Gen)
	return pool.Event{Kind: pool.Spawned, Slot: e.Slot, Gen: e.Gen, PID: c.pid}
}

func (m *master) tellGone(e pool.Effect) {
	m.noteGone(e)
	switch e.Cause {
	case pool.Scale, pool.Quit, pool.Reload, pool.Memory, pool.Age, pool.Requests:
		m.log.Info("worker gone", "worker", e.Slot, "pid", e.PID, "cause", e.Cause.String(), "why", e.Why)
		return
	}
	m.log.Warn("worker gone", "worker", e.Slot, "pid", e.PID, "cause", e.Cause.String(), "why", e.Why)
}

// recall tells a worker that has not said that it is ready. If it speaks the protocol
// it reads this as soon as it could accept, at the latest; a signal would end it at
// once, with what it has accepted. Who does not read it is told to stop later.
func (m *master) recall(pid int) {
	if c := m.children[pid]; c != nil {
		_ = c.tell(wire.Command{Type: wire.CommandDrain, Last: m.pool.Leaving()}) // its socket is empty
	}
}

// command reaches a worker through its socket if it reads it, else by signal.
// A native worker whose socket is full still has its signals.
func (m *master) command(pid int, what wire.Command, native unix.Signal) {
	c := m.children[pid]
	if c == nil {
		return
	}
	if !c.commands {
		foreign := unix.SIGTERM
		if what.Type == wire.CommandDrain {
			foreign = c.signal
		}
		m.signal(pid, foreign)
		return
	}
	if err := c.tell(what); err != nil {
		m.log.Debug("command not taken, sending a signal", "worker", c.slot, "pid", pid, "err", err)
		m.signal(pid, native)
	}
}

// signal reaches only a child that is not reaped, so the number cannot have
// been given to a stranger. A negative pid is the whole process group.
func (m *master) signal(pid int, s unix.Signal) {
	c := m.children[max(pid, -pid)]
	if c == nil || c.exit != nil {
		return // it exited first; its event is on the way
	}
	if err := unix.Kill(pid, s); err != nil && !errors.Is(err, unix.ESRCH) {
		m.log.Error("signal", "pid", pid, "name", unix.SignalName(s), "err", err)
	}
}

// reopenLogs opens the log files anew and hands them to everyone who writes.
func (m *master) reopenLogs() { m.warn("reopen logs", m.tryReopen()) }

func (m *master) tryReopen() error {
	m.reopened = m.wall()
	err := m.output.reopen()
	if m.output.set.Workers != "" {
		m.handAllLogs()
	}
	m.log.Info("logs reopened")
	return err
}

// handAllLogs gives every worker that takes them its descriptors.
func (m *master) handAllLogs() {
	for _, c := range m.children {
		if c.commands && !m.output.fifo {
			m.handLogs(c)
		}
	}
}

// handLogs gives a worker the descriptors it is to write to from now on.
func (m *master) handLogs(c *child) {
	stdout, stderr := m.output.workerFDs()
	if err := c.tell(wire.Command{Type: wire.CommandReopen}, stdout, stderr); err != nil {
		m.log.Warn("worker does not take the log file", "worker", c.slot, "pid", c.pid, "err", err)
	}
}
