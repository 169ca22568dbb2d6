package master

import (
	"fmt"
	"os"
	"time"

	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/master/pool"
)

func (m *master) wall() time.Time { return time.Now() }

// answer does what a client of the control socket asks for. It never waits.
func (m *master) answer(a control.Ask) {
	refused := ""
	switch a.Kind {
	case control.AskScale:
		refused = m.askedScale(a.N)
	case control.AskScaleBy:
		refused = m.askedScale(m.pool.Wish() + a.N)
	case control.AskStop:
		m.log.Info("stop asked for on the control socket", "quick", a.Quick)
		m.step(pool.Event{Kind: pool.StopAsked, Quick: a.Quick || m.pool.Stopping()})
	case control.AskReload:
		refused = m.request(reload, a.Waiter)
	case control.AskUpgrade:
		refused = m.request(upgrade, a.Waiter)
	case control.AskReopenLogs:
		if err := m.tryReopen(); err != nil {
			refused = err.Error()
			m.log.Warn("reopen logs", "err", err)
		}
	}
	ans := control.Answer{Status: m.status(), Refused: refused}
	if a.Kind == control.AskIncidents {
		ans.Incidents = m.incidents.newestFirst()
	}
	a.Reply(ans)
}

func (m *master) askedScale(n int) string {
	switch {
	case m.pool.Stopping():
		return "the server is stopping"
	case n < 0:
		return fmt.Sprintf("there cannot be %d workers; %d are wanted now", n, m.pool.Wish())
	case n > pool.MaxWorkers:
		return fmt.Sprintf("%d workers are more than the %d that are allowed", n, pool.MaxWorkers)
	}
	if why := m.tooFew(n); why != "" {
		return why
	}
	m.scale(n)
	return ""
}

// status copies the state for a client. What needs the kernel (queue lengths,
// memory) is filled in by the client's own goroutine.
func (m *master) status() control.Status {
	p := m.pool.Status()
	s := control.Status{Version: m.opt.Version, PID: os.Getpid(), Generation: p.Generation, State: m.state(p),
		WorkersWanted: p.Wanted, Listeners: []control.Listener{}, Workers: []control.Worker{},
		Counters: control.Counters{Spawned: p.Spawned, Exits: p.Exits, PipeJunk: m.pipeJunk,
			LogsLost: m.output.writer.lost.Load(), SpawnFail: m.spawnFail}}
	s.LastReload = m.lastReload
	for _, l := range m.listeners {
		s.Listeners = append(s.Listeners, control.Listener{Address: l.Address(), Name: l.Name()})
	}
	for _, w := range p.Workers {
		s.Workers = append(s.Workers, control.Worker{ID: w.Slot, PID: w.PID, Generation: w.Gen, State: w.Phase.String(),
			InFlight: w.Beat.InFlight, OldestMS: w.Beat.OldestMS, Requests: w.Beat.Requests, Stuck: w.Beat.Stuck,
			StartedAt: m.start.Add(w.Started).Round(0), Restarts: w.Restarts})
	}
	return s
}

func (m *master) state(p pool.Status) string {
	switch {
	case p.Stopping:
		return "stopping"
	case !m.started:
		return "starting"
	case m.change != nil:
		return "reloading"
	}
	return "running"
}
