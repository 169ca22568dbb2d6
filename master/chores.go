package master

import (
	"fmt"
	"time"

	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/master/pool"
)

const (
	measureEvery = 2 * time.Second        // how often memory is looked up, if it is limited
	notifyRetry  = 100 * time.Millisecond // for a supervisor that was busy
)

// chores are what the loop does by the clock besides what the pool wants. A zero
// time is never.
type chores struct {
	watchdog, measure, retry time.Time
}

// plan says when the next chore is due.
func (m *master) planChores(now time.Time) (due time.Time) {
	c := &m.chores
	set := func(at *time.Time, wanted bool, every time.Duration) {
		switch {
		case !wanted:
			*at = time.Time{}
		case at.IsZero():
			*at = now.Add(every)
		}
		if wanted && (due.IsZero() || at.Before(due)) {
			due = *at
		}
	}
	watchdog := m.supervisor.WatchdogEvery()
	set(&c.watchdog, watchdog > 0, watchdog)
	set(&c.measure, m.gen.Limits.MaxMemory > 0 && !m.pool.Leaving(), measureEvery)
	set(&c.retry, m.supervisor.Waiting(), notifyRetry)
	return due
}

func (m *master) doChores(now time.Time) {
	c := &m.chores
	isDue := func(at *time.Time) bool {
		if at.IsZero() || now.Before(*at) {
			return false
		}
		*at = time.Time{}
		return true
	}
	if isDue(&c.watchdog) {
		m.supervisor.Watchdog() // from the loop itself: a loop that hangs must not look alive
	}
	if isDue(&c.retry) {
		m.supervisor.Retry()
	}
	if isDue(&c.measure) {
		m.measure()
	}
}

// measure tells the pool how much memory the workers have. Reading statm does not
// stop the process that it is about.
func (m *master) measure() {
	for _, w := range m.pool.Status().Workers {
		if w.Phase == pool.Ready {
			m.step(pool.Event{Kind: pool.Measured, PID: w.PID, N: int(control.RSS(w.PID))})
		}
	}
}

// tellSupervisor says that a change is over, also when it has failed: systemd
// would take the service for hung otherwise.
func (m *master) tellSupervisor(kind string, ok bool, reason string) {
	if m.pool.Stopping() {
		return
	}
	text := m.summary()
	if !ok {
		text = kind + " failed: " + reason + " (" + text + ")"
	}
	m.supervisor.Ready(text)
	m.summed = m.summary()
}

func (m *master) summary() string {
	return fmt.Sprintf("generation %d, %d of %d workers ready", m.pool.Generation(), m.pool.Ready(), m.pool.Wish())
}

// tellSummary passes on what has changed of it.
func (m *master) tellSummary() {
	if m.supervisor == nil || !m.started || m.change != nil || m.pool.Stopping() {
		return
	}
	if now := m.summary(); now != m.summed {
		m.summed = now
		m.supervisor.Status(now)
	}
}
