package master

import (
	"fmt"
	"slices"
	"time"

	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/internal/pidfile"
	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/master/pool"
	"github.com/fugue-http/fugue/sockets"
	"golang.org/x/sys/unix"
)

// state is everything that the next image of the master needs to go on. The names
// in it are kept between versions; a field that is added must mean "as before"
// when it is zero.
type state struct {
	Generation *generation     `json:"generation"`
	Program    programState    `json:"program"`
	Listeners  []listenerState `json:"listeners"` // those of the generation, in its order
	Control    sockets.State   `json:"control"`
	PIDFile    *pidFileState   `json:"pid_file,omitempty"`
	Output     outputState     `json:"output"`
	Pool       pool.State      `json:"pool"`
	Children   []childState    `json:"children"`

	Started    bool               `json:"started"`
	SentAway   int                `json:"sent_away,omitempty"`
	Binary     string             `json:"binary"`
	Incidents  []control.Incident `json:"incidents"`
	LastReload *control.Reload    `json:"last_reload,omitempty"`
	PipeJunk   uint64             `json:"pipe_junk"`
	SpawnFail  uint64             `json:"spawn_fail"`
	LogsLost   uint64             `json:"logs_lost"`

	Change *changeState `json:"change,omitempty"` // the upgrade that is under way
	Queued *changeState `json:"queued,omitempty"`
}

type programState struct {
	FD     int  `json:"fd"` // -1: none
	Proven bool `json:"proven"`
}

type listenerState struct {
	Asked   string          `json:"asked,omitempty"`
	Socket  sockets.State   `json:"socket"`
	Options sockets.Options `json:"options"`
}

type pidFileState struct {
	Path string `json:"path"`
	FD   int    `json:"fd"`
}

type outputState struct {
	First  [2]int       `json:"first"`
	File   int          `json:"file"` // -1: none
	FIFO   bool         `json:"fifo,omitempty"`
	Start  int64        `json:"start"`
	Logger *loggerState `json:"logger,omitempty"`
}

type loggerState struct {
	In      int  `json:"in"`
	Read    int  `json:"read"`
	Out     int  `json:"out"`
	Command int  `json:"command"`
	PID     int  `json:"pid"`
	Ring    bool `json:"ring,omitempty"`
}

// childState is a process and the ends of its pipe and command socket.
type childState struct {
	PID      int    `json:"pid"`
	Slot     int    `json:"slot"`
	Gen      int    `json:"generation"`
	Signal   int    `json:"signal"`
	Born     uint64 `json:"born"`
	Pipe     int    `json:"pipe"`    // -1: it has closed its end
	Command  int    `json:"command"` // -1: none
	Commands bool   `json:"commands"`
	Shares   bool   `json:"shares,omitempty"`
	Junk     bool   `json:"junk,omitempty"`
	Failed   string `json:"failed,omitempty"`
	Partial  []byte `json:"partial,omitempty"` // of a line that is not complete yet
	Skipping bool   `json:"skipping,omitempty"`
	Notify   int    `json:"notify,omitempty"` // 0: none
	NotifyAs string `json:"notify_as,omitempty"`
}

type changeState struct {
	Kind    string `json:"kind"`
	Waiters []int  `json:"waiters,omitempty"`
}

// save writes the master down. c is the upgrade that the next image is to finish.
func (m *master) save(c *change) state {
	s := state{Generation: m.gen, Program: m.gen.program.save(m.gen.App.Self, m.imageFD), Control: m.controlSocket.State(),
		Output: m.output.save(), Pool: m.pool.Save(m.now()), Children: []childState{},
		Started: m.started, SentAway: m.sentAway, Binary: m.binary, Incidents: m.incidents, LastReload: m.lastReload,
		PipeJunk: m.pipeJunk, SpawnFail: m.spawnFail, LogsLost: m.output.writer.lost.Load(),
		Change: c.save(), Queued: m.queued.save()}
	for _, l := range m.gen.listeners {
		s.Listeners = append(s.Listeners, listenerState{Asked: l.asked, Socket: l.State(), Options: l.options})
	}
	if m.pidFile != nil {
		s.PIDFile = &pidFileState{Path: m.pidFile.Path(), FD: m.pidFile.FD()}
	}
	for _, child := range m.children {
		if child.exit == nil {
			s.Children = append(s.Children, child.save())
		}
	}
	return s
}

func (p program) save(self bool, image int) programState {
	if self && p.fd < 0 {
		return programState{FD: image, Proven: true} // it is the running binary, which will be another one
	}
	return programState{FD: p.fd, Proven: p.proven}
}

func (c *child) save() childState {
	s := childState{PID: c.pid, Slot: c.slot, Gen: c.gen, Signal: int(c.signal), Born: c.born, Pipe: c.pipeFD,
		Command: c.command, Commands: c.commands, Shares: c.shares, Junk: c.junk, Failed: c.failed}
	if c.pipeOver {
		s.Pipe = -1
	}
	if c.notify != nil {
		s.Notify, s.NotifyAs = c.notify.fd, c.notify.name
	}
	if c.resting { // otherwise its reader is at work, and this is for a trial
		s.Partial, s.Skipping = c.reader.lines.Rest()
	}
	return s
}

func (c *change) save() *changeState {
	if c == nil {
		return nil
	}
	s := &changeState{Kind: c.kind}
	for _, w := range c.waiters {
		if fd := w.FD(); fd >= 0 {
			s.Waiters = append(s.Waiters, fd)
		}
	}
	return s
}

func (s *changeState) restore() *change {
	if s == nil {
		return nil
	}
	c := &change{kind: s.Kind}
	for _, fd := range s.Waiters {
		c.waiters = append(c.waiters, control.RestoreWaiter(fd))
	}
	return c
}

// descriptors are all that s names.
func (s state) descriptors() []int {
	all := []int{s.Program.FD, s.Control.FD, s.Output.First[0], s.Output.First[1], s.Output.File}
	for _, l := range s.Listeners {
		all = append(append(all, l.Socket.FD), l.Socket.More...)
	}
	if s.PIDFile != nil {
		all = append(all, s.PIDFile.FD)
	}
	if l := s.Output.Logger; l != nil {
		all = append(all, l.In, l.Read, l.Out, l.Command)
	}
	for _, c := range s.Children {
		all = append(all, c.Pipe, c.Command, c.Notify)
	}
	for _, c := range []*changeState{s.Change, s.Queued} {
		if c != nil {
			all = append(all, c.Waiters...)
		}
	}
	all = slices.DeleteFunc(all, func(fd int) bool { return fd < firstFD })
	slices.Sort(all)
	return slices.Compact(all)
}

// restore makes a master of s. Until it returns nothing has been changed that the
// image before this one could not go on with: no pipe is read, no process reaped.
func (m *master) restore(s state) error {
	if s.Generation == nil || s.Pool.Generation != s.Generation.Number {
		return fmt.Errorf("the state of the master is not whole")
	}
	m.gen = s.Generation
	m.gen.program = program{path: m.gen.App.Path, fd: s.Program.FD, proven: s.Program.Proven}
	var err error
	if m.pool, err = pool.Restore(s.Pool); err != nil {
		return err
	}
	m.start = time.Now().Add(-s.Pool.Now)
	if m.output, err = s.Output.restore(m.gen); err != nil {
		return err
	}
	m.log = m.output.log
	m.output.writer.lost.Store(s.LogsLost)
	for _, l := range s.Listeners {
		socket, err := sockets.Restore(l.Socket)
		if err != nil {
			return err
		}
		l.Options.Name = l.Socket.Name
		m.gen.listeners = append(m.gen.listeners, &listener{Listener: socket, asked: l.Asked, options: l.Options})
		m.gen.options = append(m.gen.options, l.Options)
	}
	m.setListeners(m.gen.listeners)
	if m.controlSocket, err = sockets.Restore(s.Control); err != nil {
		return err
	}
	if p := s.PIDFile; p != nil {
		if m.pidFile, err = pidfile.Inherit(p.Path, p.FD); err != nil {
			return err
		}
	}
	m.started, m.sentAway, m.incidents, m.lastReload = s.Started, s.SentAway, s.Incidents, s.LastReload
	m.pipeJunk, m.spawnFail = s.PipeJunk, s.SpawnFail
	m.change, m.queued = s.Change.restore(), s.Queued.restore()
	return nil
}

// child makes what newChild made before.
func (s childState) child() *child {
	c := &child{pid: s.PID, slot: s.Slot, gen: s.Gen, signal: unix.Signal(s.Signal), born: s.Born, command: s.Command,
		commands: s.Commands, shares: s.Shares, junk: s.Junk, failed: s.Failed}
	if s.Pipe < 0 {
		c.pipeOver = true
		c.reader = &pipeReader{}
	} else {
		c.listen(s.Pipe, wire.ResumeLines(s.Partial, s.Skipping))
	}
	if s.Notify > 0 {
		c.listenToNotify(s.Notify, s.NotifyAs)
	}
	return c
}
