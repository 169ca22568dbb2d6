package master

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/master/pool"
)

// reap takes the exits of those this master started, each by its pid: waiting
// for "any child" would steal exits from other code in the process that waits
// for its own (golang/go#61261).
func (m *master) reap() {
	for _, c := range m.children {
		m.bury(c)
	}
	m.output.reap()
	m.reapOrphans()
	m.arm()
}

// bury takes the exit of c, if there is one, and lets the reader of its pipe
// finish; heardOut then ends it.
func (m *master) bury(c *child) {
	if c.exit != nil {
		return
	}
	status, gone := collect(c.pid)
	if !gone {
		return
	}
	c.exit = exitEvent(c.pid, status)
	m.unseat(c)
	c.reader.farewell.Store(true)
	if c.pipe != nil {
		_ = c.pipe.SetReadDeadline(time.Now().Add(farewell)) // fails if the reader is done already
	}
	if c.resting { // its last words are to be heard all the same
		c.resting = false
		go c.reader.run(m.events)
	}
	m.heardOut(c)
}

func exitEvent(pid int, status unix.WaitStatus) *pool.Event {
	e := &pool.Event{Kind: pool.Exited, PID: pid, Code: status.ExitStatus()}
	if !status.Signaled() {
		return e
	}
	e.Code, e.Signal = 0, int(status.Signal())
	e.Why = "ended by " + unix.SignalName(status.Signal())
	if status.Signal() == unix.SIGKILL {
		e.Why = "killed from outside (SIGKILL), perhaps by the kernel for want of memory"
	}
	if status.CoreDump() {
		e.Why += ", core dumped"
	}
	return e
}
