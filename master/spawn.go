package master

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/stage"
	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/sockets"
)

// spawn starts one worker: descriptors 0 to 2, the listeners from 3 on, then
// its pipe and its command socket. syscall.ForkExec takes plain numbers;
// os/exec would call File.Fd on them, which makes the open description
// blocking, for all other workers as well (golang/go#24942).
func (m *master) spawn(slot int, gen *generation) (*child, error) {
	m.widen(slot, gen)
	m.keepNonblocking(gen)
	gen.program.refresh()
	ends, err := newEnds()
	if err == nil && !gen.App.Self {
		err = ends.addNotify()
	}
	if err != nil {
		return nil, err
	}
	defer ends.closeTheirs()
	stdout, stderr := m.output.spawnFDs()
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		ends.closeOurs()
		return nil, fatal("open /dev/null", err)
	}
	defer unix.Close(null)
	files := []int{null, stdout, stderr}
	for _, l := range gen.listeners {
		files = append(files, l.SlotFD(slot))
	}
	files = append(files, ends.pipeWrite, ends.commandTheirs)
	exe := 0
	if gen.program.fd >= 0 {
		exe = len(files)
		files = append(files, gen.program.fd)
	}
	pid, err := forkExec(gen.App.Argv[:1], gen.workerEnv(slot, exe, ends.notifyName), files)
	if err != nil {
		ends.closeOurs()
		return nil, err
	}
	return m.adopt(newChild(pid, slot, gen, ends)), nil
}

// keepNonblocking undoes what an app may have done to the open descriptions
// that all workers share: on a blocking one a Go worker's Accept cannot be ended.
func (m *master) keepNonblocking(gen *generation) {
	for _, l := range gen.listeners {
		restored, err := sockets.KeepNonblocking(l.Listener)
		if err != nil || restored {
			m.log.Warn("a worker made the listener blocking", "addr", l.Address(), "err", err)
		}
	}
}

// adopt listens to c from now on.
func (m *master) adopt(c *child) *child {
	if old := m.children[c.pid]; old != nil { // reaped and still heard out: the kernel has given its number anew
		old.pipeOver = true
		m.heardOut(old)
	}
	m.children[c.pid] = c
	go c.reader.run(m.events)
	if c.notify != nil {
		go c.notify.run(m.events)
	}
	return c
}

// forkExec runs the first stage with exactly the given descriptors, in a process
// group of its own: a terminal's Ctrl-C is the master's to deal with, and what a
// worker leaves behind can be ended with it.
func forkExec(argv, env []string, files []int) (int, error) {
	attr := &syscall.ProcAttr{Env: env, Sys: &syscall.SysProcAttr{Setpgid: true}}
	for _, fd := range files {
		attr.Files = append(attr.Files, uintptr(fd))
	}
	pid, err := syscall.ForkExec(self(), argv, attr)
	if err != nil {
		return 0, fmt.Errorf("start a process: %w", err)
	}
	return pid, nil
}

// ends are both sides of a worker's pipe and command socket.
type ends struct {
	pipeRead, pipeWrite        int
	commandOurs, commandTheirs int
	notify                     int // -1 without one
	notifyName                 string
}

func newEnds() (*ends, error) {
	var p [2]int
	if err := pipe(&p); err != nil {
		return nil, fatal("heartbeat pipe", err)
	}
	e := &ends{pipeRead: p[0], pipeWrite: p[1], notify: -1}
	var err error
	if e.commandOurs, e.commandTheirs, err = socketpair(); err == nil {
		// Both ends of the pipe are non-blocking: the worker drops a beat rather
		// than wait for a master that is stopped.
		if err = unix.SetNonblock(p[0], true); err == nil {
			err = unix.SetNonblock(p[1], true)
		}
		if err == nil {
			return e, nil
		}
		_ = unix.Close(e.commandOurs)
		_ = unix.Close(e.commandTheirs)
	}
	_ = unix.Close(p[0])
	_ = unix.Close(p[1])
	return nil, fatal("command socket", err)
}

// addNotify adds the socket for an app that speaks sd_notify.
func (e *ends) addNotify() (err error) {
	if e.notify, e.notifyName, err = openNotify(); err != nil {
		e.closeOurs()
		e.closeTheirs()
		return fatal("notify socket", err)
	}
	return nil
}

func (e *ends) closeTheirs() {
	_ = unix.Close(e.pipeWrite)
	_ = unix.Close(e.commandTheirs)
}

func (e *ends) closeOurs() {
	_ = unix.Close(e.pipeRead)
	_ = unix.Close(e.commandOurs)
	closeFD(e.notify)
}

// workerEnv is the environment of the worker in slot, with the order for its
// first stage.
func (g *generation) workerEnv(slot, exe int, notify string) []string {
	n := len(g.listeners)
	names := make([]string, n)
	for i, opt := range g.options {
		names[i] = opt.Name
	}
	env := append(slices.Clip(g.Env),
		wire.EnvProtocol+"="+wire.Protocol,
		wire.EnvWorkerID+"="+strconv.Itoa(slot),
		wire.EnvGeneration+"="+strconv.Itoa(g.Number),
		wire.EnvListenFDs+"="+strconv.Itoa(n),
		wire.EnvListenNames+"="+strings.Join(names, ":"),
		wire.EnvPipeFD+"="+strconv.Itoa(wire.FirstListener+n),
		wire.EnvCommandFD+"="+strconv.Itoa(wire.FirstListener+n+1))
	if notify != "" {
		env = append(env, wire.EnvNotify+"=@"+notify)
		if s := g.Limits.Silence; s > 0 {
			env = append(env, wire.EnvWatchdog+"="+strconv.FormatInt(s.Microseconds(), 10))
		}
	}
	return g.order(exe).Environ(env)
}

// order is for the first stage; exe is the descriptor of the program that is kept
// open, 0 if there is none.
func (g *generation) order(exe int) stage.Order {
	o := stage.Order{Master: os.Getpid(), Dir: g.Dir, User: g.User, Argv: g.App.Argv, Self: g.App.Self,
		Exe: exe, Proven: g.program.proven, Umask: g.Umask, Locked: g.Locked, Sched: g.Sched}
	if !g.App.Self {
		// A foreign app does not watch the command socket. A native one takes this
		// back as soon as it runs.
		o.Death = g.Signal
	}
	return o
}
