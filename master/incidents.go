package master

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/master/pool"
)

// keptIncidents is how many are remembered, enough to see what a night was like.
const keptIncidents = 100

// incidents are the last ones, the oldest first. Owned by the loop.
type incidents []control.Incident

func (l *incidents) add(in control.Incident) {
	if len(*l) == keptIncidents {
		*l = slices.Delete(*l, 0, 1)
	}
	*l = append(*l, in)
}

// settle gives the open ones of pid that have the id (any, if it is "") their
// outcome.
func (l incidents) settle(pid int, id, outcome string) {
	for i := range l {
		if in := &l[i]; in.PID == pid && in.Outcome == "open" && (id == "" || in.ID == id) {
			in.Outcome = outcome
		}
	}
}

func (l incidents) newestFirst() []control.Incident {
	list := slices.Clone(l)
	slices.Reverse(list)
	return list
}

// incidentID is unique as long as pids are: workers number theirs.
func incidentID(pid int, id string) string { return strconv.Itoa(pid) + "-" + id }

func (m *master) noteOverdue(c *child, id string, msg *wire.Message) {
	in := control.Incident{ID: id, Kind: "timeout", At: m.wall().Round(0), Worker: c.slot, PID: c.pid,
		Method: msg.Method, Path: msg.Path, Remote: msg.Remote, AgeMS: msg.AgeMS, Status: msg.Status, Outcome: "open", Stack: msg.Stack}
	m.incidents.add(in)
	args := []any{"worker", in.Worker, "pid", in.PID, "id", in.ID, "method", in.Method, "path", in.Path,
		"remote", in.Remote, "age", time.Duration(in.AgeMS) * time.Millisecond, "status", in.Status}
	if m.gen.House.Logs.Format == "json" {
		m.log.Warn("request overdue", append(args, "stack", in.Stack)...)
		return
	}
	m.log.Warn("request overdue", args...)
	m.logStack(in.Stack)
}

// logStack puts a stack on the lines after its incident, indented so that no
// line of it can pass for one of the log's own.
func (m *master) logStack(stack string) {
	if stack == "" {
		return
	}
	var b strings.Builder
	for line := range strings.Lines(stack) {
		fmt.Fprintf(&b, "    %s\n", control.Printable(strings.TrimRight(line, "\n")))
	}
	_, _ = m.output.writer.Write([]byte(b.String())) // never fails
}

func (m *master) noteRecovered(c *child, id string) {
	m.incidents.settle(c.pid, id, "recovered")
	m.log.Info("request recovered", "worker", c.slot, "pid", c.pid, "id", id)
}

// noteGone closes what a worker left open, and makes an incident of an end that
// nobody asked for.
func (m *master) noteGone(e pool.Effect) {
	m.incidents.settle(e.PID, "", "killed")
	switch e.Cause {
	case pool.Crash, pool.Silent, pool.Boot:
		m.incidents.add(control.Incident{ID: incidentID(e.PID, e.Cause.String()), Kind: e.Cause.String(), At: m.wall().Round(0),
			Worker: e.Slot, PID: e.PID, Outcome: "killed", Reason: e.Why})
	}
}
