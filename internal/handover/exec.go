package handover

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/stage"
)

// Exec executes p in the place of this program, with n. It returns only if that
// fails or n.Last has an error, and has taken everything back then.
func Exec(p Program, n Note) error {
	var kept error
	err := n.exec(func(env []string) error {
		var left []os.Signal
		if n.Last != nil {
			left, kept = n.Last()
		}
		if kept != nil {
			return kept
		}
		return p.exec(withSignals(env, left))
	})
	if kept != nil {
		return kept
	}
	hint := ""
	if errors.Is(err, syscall.ETXTBSY) {
		hint = " (the file is being written)"
	}
	return fmt.Errorf("exec %s: %w%s", p.Path, err, hint)
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
	runtime.LockOSThread() // the mask is this thread's, and what is pending here survives
	defer runtime.UnlockOSThread()
	defer hold()()
	return run(append(stage.Without(os.Environ(), Env, EnvSignals), Env+"="+strconv.Itoa(note)))
}

func withSignals(env []string, left []os.Signal) []string {
	if len(left) == 0 {
		return env
	}
	return append(env, EnvSignals+"="+formatSignals(left))
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
