package stage

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"github.com/fugue-http/fugue/internal/wire"
)

// failedStatus is what a child exits with when it could not become the app,
// as a shell does for a command that cannot be run.
const failedStatus = 127

// Enter carries out the order in the environment and becomes the app. It
// returns only if there is no order.
func Enter() {
	if os.Getenv(Env) == "" {
		return
	}
	// What follows acts on this thread, which exec makes the app's first one.
	runtime.LockOSThread()
	err := become()
	fmt.Fprintln(os.Stderr, "fugue:", err)
	report(err)
	os.Exit(failedStatus)
}

// become prepares the process and execs; it returns only on an error.
func become() error {
	order, err := readOrder()
	if err != nil {
		return err
	}
	self, err := openSelf(order)
	if err != nil {
		return err
	}
	if err := prepare(order); err != nil {
		return err
	}
	env := append(Without(os.Environ(), Env, wire.EnvListenPID), wire.EnvListenPID+"="+strconv.Itoa(os.Getpid()))
	if self >= 0 {
		say(wire.Message{Type: wire.Begun})
		return explainSelf(fmt.Errorf("exec the running binary: %w", ExecFD(self, order.Argv, env)), order)
	}
	return execApp(order, env)
}

// explainSelf: the folder is no barrier, since the file is open; its mode is.
func explainSelf(err error, order Order) error {
	if errors.Is(err, syscall.EACCES) && order.User != nil {
		return fmt.Errorf("%w (as %s: the file needs mode 0755)", err, order.User.Name)
	}
	return err
}

func execApp(order Order, env []string) error {
	path, err := exec.LookPath(order.Argv[0])
	if order.Exe > 0 && order.Proven && (err != nil || !leadsTo(path, order.Exe)) {
		say(wire.Message{Type: wire.Begun})
		return fmt.Errorf("exec %s as it was before: %w", order.Argv[0], ExecFD(order.Exe, order.Argv, env))
	}
	if err != nil {
		return fmt.Errorf("%s: %w%s", order.Argv[0], cause(err), order.as())
	}
	say(wire.Message{Type: wire.Begun})
	err = syscall.Exec(path, order.Argv, env)
	return fmt.Errorf("exec %s: %w%s%s", path, err, hint(err), order.as())
}

// cause strips what exec.Error repeats.
func cause(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

func hint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return " (a script needs a first line such as #!/bin/sh; a program must be built for this machine)"
	case errors.Is(err, syscall.ETXTBSY):
		return " (the file is being written)"
	case errors.Is(err, syscall.ENOENT):
		return " (or the interpreter it names does not exist)"
	case errors.Is(err, syscall.EAGAIN):
		return " (the user's limit of processes, ulimit -u, is reached)"
	}
	return ""
}

// as names the user in a message, since rights are what fails most.
func (o Order) as() string {
	if o.User == nil {
		return ""
	}
	return " (as " + o.User.Name + ")"
}

// report tells the master why there will be no worker.
func report(err error) { say(wire.Message{Type: wire.Failed, Reason: err.Error()}) }

// say writes into the heartbeat pipe, if there is one. It never blocks.
func say(m wire.Message) {
	fd, bad := strconv.Atoi(os.Getenv(wire.EnvPipeFD))
	if bad != nil || fd < wire.FirstListener {
		return
	}
	_, _ = syscall.Write(fd, m.Append(nil)) // a reason is on stderr as well
}
