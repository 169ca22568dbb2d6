package master

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/internal/handover"
	"github.com/fugue-http/fugue/internal/pidfile"
	"github.com/fugue-http/fugue/internal/sdnotify"
	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/master/pool"
	"github.com/fugue-http/fugue/sockets"
)

// master is the state of the loop; only the goroutine of Run touches it.
type master struct {
	opt   Options
	log   *slog.Logger
	start time.Time // what pool's clock counts from
	timer *time.Timer

	pool      *pool.Pool
	children  map[int]*child // by pid, until reaped and heard out
	gen       *generation    // in force
	listeners []*listener    // of all generations that there are
	queues    atomic.Pointer[map[string]*sockets.Listener]
	toSpawn   []pool.Effect // processes that are to be started

	change     *change // the reload or upgrade that is under way
	queued     *change // what was asked for meanwhile
	turn       bool    // the queued one may begin
	changes    uint64
	reports    chan prepared
	lastReload *control.Reload
	sentAway   int // workers that WINCH has sent away
	binary     string
	imageFD    int    // of the running binary; 0 until it is asked for
	launched   string // the folder that the program was started in
	supervisor *sdnotify.Sender
	summed     string // what it was told last
	chores     chores
	quiescing  bool // the readers are to come to rest

	board         *sockets.Board // by which workers share connections out; nil without one
	boardless     bool           // there can be none
	output        *output
	signals       *signals
	events        chan event
	asks          chan control.Ask
	control       *control.Server
	controlSocket *sockets.Listener
	pidFile       *pidfile.File
	incidents     incidents

	started   bool
	spawns    uint64 // what tellWorkers last told of
	known     int
	over      bool
	code      int
	why       string
	reopened  time.Time // when logs were last opened anew
	pipeJunk  uint64
	spawnFail uint64
}

// event is what a goroutine that owns a worker's pipe has to tell.
type event struct {
	pool.Event
	said     said
	pipe     *os.File // through which it came: a pid may be given anew
	commands bool
	shares   bool
	overdue  *wire.Message // of an OverdueSaid: the incident
}

// said is what the loop handles itself rather than the pool.
type said int

const (
	forPool    said = iota // the Event in it
	pipeOver               // no more will come through PID's pipe
	wasJunk                // PID wrote a line that means nothing
	askReopen              // PID wants its log files opened anew
	forNobody              // PID said what this version does not know
	isFailed               // PID's first stage says Why it could not start the app
	notifyOver             // nobody reads PID's notify socket any more
	saysStatus             // PID says what it does, Why
	isResting              // nothing more comes through PID's pipe until it is read again
)

// Run is the life of a master: it returns nil after a stop that was asked for,
// otherwise the reason in one line. It changes the process (signals, descriptors
// 1 and 2 if there is a log file) and is called once.
func Run(opt Options) error {
	handover.SetVersion(opt.Version)
	m := &master{opt: opt, start: time.Now(), children: map[int]*child{}, events: make(chan event, 64),
		asks: make(chan control.Ask), reports: make(chan prepared), signals: catchSignals(),
		supervisor: sdnotify.New(os.Getenv, os.Getpid()), binary: binaryPath(opt.Dir)}
	closeOnExec()
	if note := handover.Pending(); note != nil {
		return m.runOn(note)
	}
	m.launched = opt.Dir
	if err := m.open(); err != nil {
		m.release()
		return err
	}
	m.loop()
	return m.end()
}

// loop waits for what happens next and takes it, until the pool says Exit.
func (m *master) loop() {
	if m.timer == nil {
		m.timer = time.NewTimer(0)
	}
	defer m.timer.Stop()
	for !m.over {
		if m.turn {
			m.takeTurn()
			continue
		}
		select {
		case s := <-m.signals.stops:
			m.obey(s)
		case s := <-m.signals.others:
			m.obey(s)
		case <-m.signals.children:
			m.reap()
		case e := <-m.events:
			m.hear(e)
		case a := <-m.asks:
			m.answer(a)
		case p := <-m.reports:
			m.report(p)
		case <-m.spawnTurn():
			m.spawnNext()
		case <-m.timer.C:
			m.output.tick()
			m.doChores(time.Now())
			m.step(pool.Event{Kind: pool.Ticked})
		}
	}
}

// step tells the pool what happened, and performs what it asks for.
func (m *master) step(ev pool.Event) {
	for _, e := range m.pool.Step(m.now(), ev) {
		m.perform(e)
	}
	if ev.Kind == pool.BeatHeard && !m.pool.Nearer() {
		return // a beat only moves deadlines away
	}
	m.arm()
	m.announce()
	m.tellWorkers()
	m.tellSummary()
	if m.pool.Stopping() {
		m.stopping()
	}
}

// stopping does what a stop begins with, once each.
func (m *master) stopping() {
	if !m.over && m.summed != "stopping" {
		m.summed = "stopping"
		m.supervisor.Stopping("stopping")
	}
	m.giveUpChanges()
	if m.pool.Leaving() {
		m.closeListeners()
	}
}

// closeListeners turns clients away as soon as the workers leave: they shall go
// elsewhere rather than wait in a queue. Those who wait already are served by the
// workers, whose copies close when that queue is empty.
func (m *master) closeListeners() {
	m.warn("close a listener", closeAll(m.listeners))
	m.listeners = nil
}

func (m *master) now() time.Duration { return time.Since(m.start) }

// arm sets the timer to the next moment at which something is due. Without one
// the master sleeps until it is spoken to.
func (m *master) arm() {
	at, any := m.pool.Deadline()
	if due, wanted := m.output.due(); wanted && (!any || m.start.Add(at).After(due)) {
		at, any = due.Sub(m.start), true
	}
	if due := m.planChores(time.Now()); !due.IsZero() && (!any || m.start.Add(at).After(due)) {
		at, any = due.Sub(m.start), true
	}
	if !any {
		m.timer.Stop()
		return
	}
	m.timer.Reset(max(at-m.now(), 0))
}

// announce tells whoever waits for it that the first generation is ready.
func (m *master) announce() {
	if m.started || !m.pool.Started() {
		return
	}
	m.started = true
	m.log.Info("ready", "workers", m.pool.Ready())
	m.summed = m.summary()
	m.supervisor.Ready(m.summed)
	m.beginQueued()
	if m.opt.Started != nil {
		go m.opt.Started() // ends by itself; the loop does not wait for it
	}
}

// tellWorkers passes the pids on when one has come or gone.
func (m *master) tellWorkers() {
	if m.opt.Workers == nil {
		return
	}
	s := m.pool.Status()
	if s.Spawned == m.spawns && len(s.Workers) == m.known {
		return
	}
	m.spawns, m.known = s.Spawned, len(s.Workers)
	pids := make([]int, len(s.Workers))
	for i, w := range s.Workers {
		pids[i] = w.PID
	}
	m.opt.Workers(pids)
}

// end takes everything back and says how it went.
func (m *master) end() error {
	if m.code == 0 {
		m.log.Info("stopped")
		m.release()
		return nil
	}
	why := m.why
	if tail := m.output.tail(); tail != "" {
		why += "; its last words: " + tail
	}
	m.log.Error("stopped", "why", why)
	m.release()
	return errors.New(why)
}

// release lets go of all that open got hold of, as far as it got.
func (m *master) release() {
	if m.control != nil {
		m.control.Close()
	}
	m.closeListeners()
	if m.pidFile != nil {
		m.warn("remove the pid file", m.pidFile.Remove())
	}
	if m.output != nil {
		m.output.close()
	}
}

func (m *master) warn(what string, err error) {
	if err != nil {
		m.log.Warn(what, "err", err)
	}
}

// fatal says what was attempted when err happened.
func fatal(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }

// self is the running binary, whatever stands under its name on disk by now: a
// respawn must not mix two versions of master and first stage.
func self() string {
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		return "/proc/self/exe"
	}
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
