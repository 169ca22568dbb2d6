package master

import (
	"os"
	"path/filepath"

	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/internal/pidfile"
	"github.com/fugue-http/fugue/master/pool"
	"github.com/fugue-http/fugue/sockets"
)

// open gets hold of everything a master needs, in the order in which a second
// instance is told apart soonest: pid file, control socket, listeners. The first
// failure ends it; release lets go of what is there by then.
func (m *master) open() error {
	gen, err := newGeneration(m.opt.Config, m.opt.App, "")
	if err != nil {
		return err
	}
	gen.Number = 1
	if gen.App.Self {
		gen.program.close() // it is the running binary, whatever its path leads to by now
	}
	m.gen = gen
	if m.output, err = openOutput(gen.House.Logs); err != nil {
		return err
	}
	m.log = m.output.log
	for _, step := range []func() error{m.openPIDFile, m.openListeners, m.openControl, m.openLogger} {
		if err := step(); err != nil {
			return err
		}
	}
	m.pool = pool.New(gen.Limits)
	m.tellStart()
	return nil
}

func (m *master) tellStart() {
	m.tellListening(m.gen.listeners)
	m.log.Info("master started", "version", m.opt.Version, "pid", os.Getpid(), "workers", m.pool.Wish(), "control", m.gen.House.Control)
}

func (m *master) tellListening(list []*listener) {
	for _, l := range list {
		m.log.Info("listening", "addr", l.Address())
		if l.Grouped() && !sockets.ReusesPort {
			m.log.Warn("reuseport has no effect on this system: all workers share one socket", "addr", l.Address())
		}
	}
}

func (m *master) openPIDFile() error {
	path := m.gen.House.PIDPath
	if path == "" {
		return nil
	}
	f, err := pidfile.Acquire(path, os.Getpid())
	if err != nil {
		return err
	}
	m.pidFile = f
	return nil
}

// openListeners takes what systemd handed over, then opens what the file names.
func (m *master) openListeners() error {
	handed, err := inheritListeners()
	if err != nil {
		return err
	}
	plan, err := planListeners(m.opt.Config, handed, true)
	if err != nil {
		return err
	}
	m.gen.listeners, m.gen.options = plan.list, plan.want
	m.setListeners(plan.list)
	return nil
}

// setListeners says which sockets there are, for the loop and for those who ask
// for their queues.
func (m *master) setListeners(list []*listener) {
	m.listeners = list
	queues := make(map[string]*sockets.Listener, len(list))
	for _, l := range list {
		queues[l.Address()] = l.Listener
	}
	m.queues.Store(&queues)
}

// queueOf is called from any goroutine.
func (m *master) queueOf(address string) (waiting, limit int) {
	l := (*m.queues.Load())[address]
	if l == nil {
		return 0, 0 // a reload has closed it meanwhile
	}
	return l.Queue()
}

func (m *master) openControl() error {
	path := m.gen.House.Control
	if m.gen.House.OwnFolder {
		if err := control.PrepareFolder(filepath.Dir(path)); err != nil {
			return err
		}
	}
	l, err := sockets.Listen(sockets.Address{Network: "unix", Path: path},
		sockets.Options{Mode: 0o600, Owner: -1, Group: -1, Backlog: 64, Patience: -1})
	if err != nil {
		return fatal("control_path", err)
	}
	m.controlSocket = l
	m.control, err = control.Serve(l, m.asks, m.queueOf)
	return err
}

func (m *master) openLogger() error { return m.output.startLogger(m.gen.User) }
