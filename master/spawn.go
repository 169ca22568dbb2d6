package master

import (
	"fmt"
	"maps"
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
func (m *master) spawn(slot, gen int) (*child, error) {
	m.keepNonblocking()
	ends, err := newEnds()
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
	for _, l := range m.listeners {
		files = append(files, l.FD())
	}
	files = append(files, ends.pipeWrite, ends.commandTheirs)
	pid, err := forkExec(m.opt.App.Argv[:1], m.workerEnv(slot, gen), files)
	if err != nil {
		ends.closeOurs()
		return nil, err
	}
	return m.adopt(pid, slot, ends), nil
}

// keepNonblocking undoes what an app may have done to the open descriptions
// that all workers share: on a blocking one a Go worker's Accept cannot be ended.
func (m *master) keepNonblocking() {
	for _, l := range m.listeners {
		restored, err := sockets.KeepNonblocking(l)
		if err != nil || restored {
			m.log.Warn("a worker made the listener blocking", "addr", l.Address(), "err", err)
		}
	}
}

func (m *master) adopt(pid, slot int, e *ends) *child {
	if old := m.children[pid]; old != nil { // reaped and still heard out: the kernel has given its number anew
		old.pipeOver = true
		m.heardOut(old)
	}
	c := &child{pid: pid, slot: slot, command: e.commandOurs, pipe: os.NewFile(uintptr(e.pipeRead), "heartbeat pipe")}
	m.children[pid] = c
	go readPipe(c.pipe, slot, pid, m.events)
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
type ends struct{ pipeRead, pipeWrite, commandOurs, commandTheirs int }

func newEnds() (*ends, error) {
	var p [2]int
	if err := pipe(&p); err != nil {
		return nil, fatal("heartbeat pipe", err)
	}
	e := &ends{pipeRead: p[0], pipeWrite: p[1]}
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

func (e *ends) closeTheirs() {
	_ = unix.Close(e.pipeWrite)
	_ = unix.Close(e.commandTheirs)
}

func (e *ends) closeOurs() {
	_ = unix.Close(e.pipeRead)
	_ = unix.Close(e.commandOurs)
}

// workerEnv is the environment of the worker in slot, with the order for its
// first stage.
func (m *master) workerEnv(slot, gen int) []string {
	n := len(m.listeners)
	names := make([]string, n)
	for i, l := range m.listeners {
		names[i] = l.Name()
	}
	env := append(slices.Clip(m.env),
		wire.EnvProtocol+"="+wire.Protocol,
		wire.EnvWorkerID+"="+strconv.Itoa(slot),
		wire.EnvGeneration+"="+strconv.Itoa(gen),
		wire.EnvListenFDs+"="+strconv.Itoa(n),
		wire.EnvListenNames+"="+strings.Join(names, ":"),
		wire.EnvPipeFD+"="+strconv.Itoa(wire.FirstListener+n),
		wire.EnvCommandFD+"="+strconv.Itoa(wire.FirstListener+n+1))
	return m.order().Environ(env)
}

func (m *master) order() stage.Order {
	o := stage.Order{Master: os.Getpid(), Dir: m.cfg.WorkDir(), User: m.user, Argv: m.opt.App.Argv, Self: m.opt.App.Self}
	if m.cfg.Umask.Set {
		mask := int(m.cfg.Umask.Bits)
		o.Umask = &mask
	}
	o.Locked = m.cfg.NoNewPrivileges()
	if !m.opt.App.Self {
		// A foreign app does not watch the command socket. A native one takes this
		// back as soon as it runs.
		o.Death = int(m.cfg.Signal())
	}
	return o
}

// inheritedEnv is the master's environment without what is meant for the master
// alone or for one worker.
func inheritedEnv() []string {
	mine := []string{stage.Env, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FUGUE_DAEMON_FD"}
	return stage.Without(os.Environ(), append(mine, wire.WorkerEnv...)...)
}

// baseEnv is what every worker gets: what it inherits, then what the file sets. With
// another user, who are the variables that name it.
func (m *master) baseEnv(who []string) ([]string, error) {
	env := inheritedEnv()
	if who != nil {
		env = append(stage.Without(env, "USER", "LOGNAME", "HOME"), who...)
	}
	set := map[string]string{}
	if os.Getenv("GOMAXPROCS") == "" {
		set["GOMAXPROCS"] = strconv.Itoa(m.cfg.GoMaxProcs())
	}
	maps.Copy(set, m.cfg.App.Env)
	settings, err := m.settings()
	if err != nil {
		return nil, err
	}
	set[wire.EnvSettings] = settings
	env = stage.Without(env, slices.Collect(maps.Keys(set))...)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		env = append(env, name+"="+set[name])
	}
	return env, nil
}
