package handover

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/stage"
)

// reloads are the signals that must not end the process between the exec and the
// moment when the next image catches them, some milliseconds; by default they
// would. An ignored signal stays ignored across the exec (signal(7)). What they
// ask for is not lost: the next image reads the file and opens the logs anyway.
// TERM, INT and QUIT keep their default: then the master ends here, and the
// workers finish their requests and leave.
var reloads = []os.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH, syscall.SIGPIPE, syscall.SIGALRM}

// Exec executes path in the place of this program, with n. It returns only if that
// fails or n.Last has an error, and has taken everything back then.
func Exec(path string, n Note) error {
	var kept error
	err := n.exec(func(env []string) error {
		if n.Last != nil {
			kept = n.Last()
		}
		if kept != nil {
			return kept
		}
		return syscall.Exec(path, os.Args, env)
	})
	if kept != nil {
		return kept
	}
	hint := ""
	if errors.Is(err, syscall.ETXTBSY) {
		hint = " (the file is being written)"
	}
	return fmt.Errorf("exec %s: %w%s", path, err, hint)
}

// exec calls run with the environment and the descriptors that the next image
// needs. It returns only if run does.
func (n Note) exec(run func(env []string) error) error {
	note, err := n.Write()
	if err != nil {
		return err
	}
	defer unix.Close(note)
	defer closeOnExec(n.all())
	defer keepLimit()()
	for _, fd := range append(n.all(), note) {
		if err := setInheritable(fd); err != nil {
			return err
		}
	}
	defer ignoreReloads()()
	return run(append(stage.Without(os.Environ(), Env), Env+"="+strconv.Itoa(note)))
}

// all are the descriptors that must survive.
func (n Note) all() []int { return append(slices.Clone(n.FDs), n.Image) }

func setInheritable(fd int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("descriptor %d: %w", fd, err)
	}
	return nil
}

// keepLimit returns what raises the limit of open files again: the Go runtime has
// raised it for itself, and syscall.Exec lowers it, whether it succeeds or not. A
// master with many workers needs it.
func keepLimit() func() {
	var was unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &was) != nil {
		return func() {}
	}
	return func() {
		var now unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_NOFILE, &now) == nil && now != was {
			_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
		}
	}
}

func closeOnExec(fds []int) {
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
}
