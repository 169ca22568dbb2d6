package master

import (
	"errors"
	"slices"

	"github.com/fugue-http/fugue/master/pool"
	"github.com/fugue-http/fugue/sockets"
)

// roll hands the new generation to the pool.
func (m *master) roll(p prepared) {
	c, wish := m.change, m.nextWish(p.gen)
	if why := m.tooFew(wish); why != "" {
		p.discard()
		m.fail(errors.New(why))
		return
	}
	c.next, c.plan = p.gen, p.plan
	c.next.Number = m.pool.Generation() + 1
	c.logOffset = m.output.size()
	m.tellListening(c.plan.opened)
	m.setListeners(union(m.listeners, c.plan.list))
	limits := c.next.Limits
	m.step(pool.Event{Kind: pool.ReloadAsked, Limits: &limits, N: wish, Redo: m.output.outdates(c.next.House.Logs)})
}

// nextWish is the number of workers after a reload: that of the file if it has
// changed there, or if all were sent away; otherwise what it is by now.
func (m *master) nextWish(next *generation) int {
	switch {
	case next.Workers != m.gen.Workers:
		return next.Workers
	case m.sentAway > 0 && m.pool.Wish() == 0:
		return m.sentAway
	}
	return -1
}

// commit puts the new generation in force: its first worker has proven itself.
func (m *master) commit() {
	c := m.change
	c.before, m.gen = m.gen, c.next
	m.apply(c.before)
	m.log.Info("generation in force", "generation", m.gen.Number)
}

// apply changes what the generations share, and what concerns the master itself,
// from the settings of old to those of the generation in force.
func (m *master) apply(old *generation) {
	set, was := m.gen.House, old.House
	if set.Logs != was.Logs {
		m.warn("log files", m.output.change(set.Logs, m.gen.User))
		m.log = m.output.log
		m.handAllLogs()
		set.Logs.Workers, set.Logs.Master = m.output.set.Workers, m.output.set.Master // as far as it could: the next reload tries again
		m.gen.House.Logs = set.Logs
	}
	for i, l := range m.gen.listeners {
		m.adjust(l, m.gen.options[i])
	}
	for key, changed := range map[string]bool{"control_path (or tmp_path)": set.Control != was.Control,
		"master_pid_path": set.PIDPath != was.PIDPath, "daemonize": set.Background != was.Background} {
		if changed {
			m.log.Warn("changed in the file, but it takes a new start", "key", key)
		}
	}
	// What goes on as it was is said so, or the next reload would not tell it.
	m.gen.House.Control, m.gen.House.PIDPath = was.Control, was.PIDPath
}

// adjust gives a socket that goes on the options of the generation in force.
func (m *master) adjust(l *listener, want sockets.Options) {
	was := l.options
	if was.Name == want.Name && was.Backlog == want.Backlog && was.DeferAccept == want.DeferAccept &&
		was.Mode == want.Mode && was.Owner == want.Owner && was.Group == want.Group {
		return
	}
	m.warn("change the options of "+l.Address(), l.Adjust(want))
	want.V6Only = was.V6Only
	l.options = want
}

// rolled ends a change well. What the new file does not name is closed now; the
// last workers of the old generation are told to leave after this, and let in
// first who waits there.
func (m *master) rolled() {
	c := m.change
	gone := difference(m.listeners, c.plan.list)
	for _, l := range gone {
		m.log.Info("no longer listening", "addr", l.Address())
	}
	m.warn("close a listener", closeAll(gone))
	m.setListeners(c.plan.list)
	if c.before != nil {
		c.before.program.close()
	}
	if m.pool.Wish() > 0 { // WINCH may have come after the file was read
		m.sentAway = 0
	}
	m.finish(true, "")
}

// aborted ends a change that has failed, as if nothing had happened.
func (m *master) aborted(why string) {
	c := m.change
	if c == nil {
		return
	}
	if tail := m.output.since(c.logOffset); tail != "" {
		why += "; the last lines of the log: " + tail
	}
	m.takeBack(c)
	m.fail(errors.New(why))
}

// takeBack undoes what a change has done.
func (m *master) takeBack(c *change) {
	if c.before != nil {
		failed := m.gen
		m.gen = c.before
		m.apply(failed)
	}
	if c.plan != nil {
		m.setListeners(difference(m.listeners, c.plan.opened))
		m.warn("close a listener", closeAll(c.plan.opened))
		for _, l := range c.plan.opened {
			m.log.Info("no longer listening", "addr", l.Address())
		}
	}
	if c.next != nil {
		c.next.program.close()
	}
}

// generation finds what a worker is to be started from, nil if that is gone.
func (m *master) generation(number int) *generation {
	switch c := m.change; {
	case m.gen.Number == number:
		return m.gen
	case c != nil && c.next != nil && c.next.Number == number:
		return c.next
	}
	return nil
}

// prove notes that a worker of a generation has become ready: what it runs works. If
// that is not the file that is open by now, a deploy has come between.
func (m *master) prove(number, pid int) {
	if g := m.generation(number); g != nil && !g.program.proven {
		g.program.proven = runs(pid, g.program.fd)
	}
}

func union(a, b []*listener) []*listener {
	return append(slices.Clone(a), difference(b, a)...)
}

func difference(a, b []*listener) []*listener {
	return slices.DeleteFunc(slices.Clone(a), func(l *listener) bool { return slices.Contains(b, l) })
}
