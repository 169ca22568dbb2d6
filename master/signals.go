package master

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/handover"
	"github.com/fugue-http/fugue/master/pool"
)

// Meaning is what a signal to the master does, for the loop and for the docs.
type Meaning struct {
	Signal syscall.Signal
	Name   string
	Does   string
	act    func(*master)
}

// Signals is the table of all signals that mean something to the master.
var Signals = []Meaning{
	{syscall.SIGQUIT, "QUIT", "graceful stop: finish requests, then leave; a second one is quick", (*master).stopGently},
	{syscall.SIGTERM, "TERM", "as QUIT", (*master).stopGently},
	{syscall.SIGINT, "INT", "as QUIT (Ctrl-C once finishes requests, twice stops)", (*master).stopGently},
	{syscall.SIGHUP, "HUP", "reload the settings and the app, with no request lost; a bad file or a broken app changes nothing", (*master).hangUp},
	{syscall.SIGUSR1, "USR1", "reopen all log files, of the master and of the workers", (*master).reopenLogs},
	{syscall.SIGUSR2, "USR2", "as HUP, and the master's own binary too: the new one takes over in place, with the same pid", (*master).usr2},
	{unix.SIGTTIN, "TTIN", "one worker more", func(m *master) { m.scaleBy(1) }},
	{unix.SIGTTOU, "TTOU", "one worker fewer, but not below one", (*master).oneFewer},
	{unix.SIGWINCH, "WINCH", "all workers leave, the master keeps the listeners; TTIN brings one back, HUP all; ignored in the foreground of a terminal, where it means another size of the window", (*master).allLeave},
}

// signals are the channels that the kernel's signals arrive on. They are apart
// so that a flood of one kind cannot crowd out another: a lost TERM or CHLD
// would never be made up for.
type signals struct {
	stops    chan os.Signal
	others   chan os.Signal
	children chan os.Signal // one waiting is enough: reaping looks at every child
	taken    []os.Signal    // out of others, for the next image
}

// catchSignals takes over all signals. SIGPIPE is caught and
// dropped: a Go program whose stderr loses its reader would die of it otherwise
// (os/signal). Ignoring instead of catching would be handed on to the workers.
func catchSignals() *signals {
	s := &signals{stops: make(chan os.Signal, 4), others: make(chan os.Signal, 64), children: make(chan os.Signal, 1)}
	if stops, others := handover.Signals(); stops != nil { // this image has caught them from its first moment on
		s.stops, s.others = stops, others
	}
	s.catch()
	return s
}

func (s *signals) catch() {
	signal.Notify(s.stops, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.others, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH)
	signal.Notify(s.children, syscall.SIGCHLD)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGALRM)
}

// takeOthers empties the channel of orders other than to stop.
func (s *signals) takeOthers() []os.Signal {
	for {
		select {
		case one := <-s.others:
			s.taken = append(s.taken, one)
		default:
			return s.taken
		}
	}
}

// putBack undoes takeOthers.
func (s *signals) putBack() {
	for _, one := range s.taken {
		select {
		case s.others <- one:
		default: // so many are as good as one
		}
	}
	s.taken = nil
}

func (m *master) obey(s os.Signal) {
	for _, meaning := range Signals {
		if meaning.Signal == s {
			m.log.Info("signal", "name", meaning.Name)
			meaning.act(m)
			return
		}
	}
	m.log.Warn("signal without a meaning in this version", "name", s)
}

func (m *master) stopGently() {
	m.step(pool.Event{Kind: pool.StopAsked, Quick: m.pool.Stopping()})
}

// allLeave does nothing where the kernel sends WINCH by itself, to whoever is in
// the foreground of a terminal, whenever its window changes its size.
func (m *master) allLeave() {
	if m.output.inForeground() {
		m.log.Info("WINCH ignored, since it may come from the terminal; scale 0 drains all workers")
		return
	}
	if n := m.pool.Wish(); n > 0 {
		m.scale(0)
		m.sentAway = n
	}
}

func (m *master) hangUp() { m.asked(reload) }

func (m *master) usr2() { m.asked(upgrade) }

func (m *master) asked(kind string) {
	if refused := m.request(kind, nil); refused != "" {
		m.log.Warn(kind+" refused", "why", refused)
	}
}

func (m *master) scale(n int) {
	m.sentAway = 0
	m.step(pool.Event{Kind: pool.ScaleAsked, N: n})
}

func (m *master) scaleBy(k int) {
	n := m.pool.Wish() + k
	if n > pool.MaxWorkers {
		m.log.Warn("no more workers than this", "workers", pool.MaxWorkers)
		return
	}
	if why := m.tooFew(max(n, 0)); why != "" {
		m.log.Warn("the number of workers stays", "why", why)
		return
	}
	m.scale(max(n, 0))
}

func (m *master) oneFewer() {
	if m.pool.Wish() <= 1 {
		m.log.Warn("one worker is the fewest that TTOU leaves; scale 0 takes the last")
		return
	}
	m.scaleBy(-1)
}
