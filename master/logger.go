package master

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/logpipe"
	"github.com/fugue-http/fugue/internal/stage"
	"github.com/fugue-http/fugue/internal/wire"
)

// logger is the log process as the master sees it. The master holds both ends
// of the pipe, so that a log process that dies loses nothing that still waits
// in it. Owned by the loop.
type logger struct {
	in, read int // the pipe: workers write to in, the log process reads from read
	out      int // where it writes at the end of its life: kept open to be read back, -1 if it is the file
	ring     bool
	user     *stage.User
	pid      int
	command  int
	retryAt  time.Time
	finished bool
}

const (
	loggerRetry  = time.Second
	loggerFinish = time.Second // how long the end waits for the last lines
)

// startLogger makes the pipe and the first log process.
func (o *output) startLogger(user *stage.User) error {
	if !o.piped {
		return nil
	}
	var p [2]int
	if err := pipe(&p); err != nil {
		return fatal("log pipe", err)
	}
	l := &logger{read: p[0], in: p[1], out: -1, command: -1, user: user, ring: o.file < 0}
	if l.ring {
		fd, err := scratchFile()
		if err != nil {
			return fatal("log pipe", err)
		}
		l.out = fd
	}
	o.logger = l
	return l.spawn(o)
}

// destination is the descriptor the log process writes to.
func (l *logger) destination(o *output) int {
	if o.file >= 0 {
		return o.file
	}
	return l.out
}

func (l *logger) spawn(o *output) error {
	ours, theirs, err := socketpair()
	if err != nil {
		return fatal("log process", err)
	}
	defer unix.Close(theirs)
	kind := "file"
	if l.ring {
		kind = "ring"
	}
	order := stage.Order{Master: os.Getpid(), Dir: "/", User: l.user, Locked: l.user != nil, Self: true, Argv: []string{"fugue-http", "log"}}
	env := order.Environ(append(inheritedEnv(), logpipe.Env+"="+kind))
	pid, err := forkExec([]string{"fugue-http", "log"}, env, []int{l.read, l.destination(o), o.first[1], theirs})
	if err != nil {
		_ = unix.Close(ours)
		return fatal("log process", err)
	}
	l.pid, l.command = pid, ours
	return nil
}

// reap replaces a log process that died. Lines wait in the pipe meanwhile. The
// pause keeps one that cannot start from being started in a hurry.
func (l *logger) reap(o *output) {
	if l.pid == 0 {
		return
	}
	status, gone := collect(l.pid)
	if !gone {
		return
	}
	l.pid = 0
	_ = unix.Close(l.command)
	if l.finished {
		return
	}
	o.log.Warn("log process gone; lines wait in its pipe", "why", exitEvent(0, status).Why, "code", status.ExitStatus())
	l.retryAt = time.Now().Add(loggerRetry)
}

// respawnDue says when a log process is to be started again.
func (l *logger) respawnDue() (time.Time, bool) { return l.retryAt, l.pid == 0 && !l.finished }

func (l *logger) respawn(o *output) {
	if err := l.spawn(o); err != nil {
		o.log.Error("log process", "err", err)
		l.retryAt = time.Now().Add(loggerRetry)
	}
}

// handOver gives the log process the file that is open now.
func (l *logger) handOver(o *output) {
	if l.pid == 0 || l.ring {
		return // the next one starts with the new file
	}
	c := child{command: l.command}
	if err := c.tell(wire.Command{Type: wire.CommandReopen}, o.file); err != nil {
		o.log.Warn("log process does not take the new file", "err", err)
	}
}

// finish closes the pipe and waits a moment until all of it is written. It is
// for the end of the master, when no worker is left. If the log process is not
// there at this moment another one writes what waits.
func (l *logger) finish(o *output) {
	if l.finished {
		return
	}
	if l.reap(o); l.pid == 0 {
		l.respawn(o)
	}
	l.finished = true
	_ = unix.Close(l.in)
	_ = unix.Close(l.read)
	for until := time.Now().Add(loggerFinish); l.pid != 0 && time.Now().Before(until); {
		if _, gone := collect(l.pid); gone {
			l.pid = 0
			return
		}
		time.Sleep(2 * time.Millisecond) // the loop is over; there is nothing else to do
	}
}
