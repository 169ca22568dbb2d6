package stage

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

var errMasterGone = errors.New("the master is gone")

// prepare does everything but the exec, in the one order that works: what needs
// rights first, then the rights are given up, then what giving them up would undo.
func prepare(o Order) error {
	if err := resetSignals(); err != nil {
		return err
	}
	if o.Umask != nil {
		unix.Umask(*o.Umask)
	}
	if err := noCore(); err != nil {
		return err
	}
	if err := schedule(o.Sched); err != nil {
		return err
	}
	if o.Dir != "" {
		if err := os.Chdir(o.Dir); err != nil {
			return fmt.Errorf("working_path: %w", err)
		}
	}
	if o.User != nil {
		if err := drop(o.User); err != nil {
			return err
		}
	}
	return lock(o)
}

// lock sets what credentials changes reset (prctl(2)).
func lock(o Order) error {
	if o.Locked {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("no_new_privs: %w", err)
		}
	}
	if o.Death != 0 {
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(o.Death), 0, 0, 0); err != nil {
			return fmt.Errorf("death signal: %w", err)
		}
	}
	if os.Getppid() != o.Master {
		return errMasterGone // it died before the signal was set
	}
	return nil
}

// resetSignals gives the app the defaults, whatever was ignored or blocked where
// the master was started (nohup, a shell's trap): a handler does not survive
// exec, an ignored signal does (signal(7)). The runtime has handlers for all
// signals but these, which are caught here. No others: who is told to leave while
// this runs must die of it, and what a channel holds would be lost at the exec.
// The mask is this thread's.
func resetSignals() error {
	spared := []os.Signal{unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT}
	for _, s := range []os.Signal{unix.SIGHUP, unix.SIGINT} { // the runtime respects nohup
		if signal.Ignored(s) {
			spared = append(spared, s)
		}
	}
	signal.Notify(make(chan os.Signal, 1), spared...)
	var none unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil); err != nil {
		return fmt.Errorf("signal mask: %w", err)
	}
	return nil
}

// noCore keeps memory of requests off the disk. The hard limit stays, so an app
// that wants core dumps can ask for them (ulimit -c).
func noCore() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return fmt.Errorf("core limit: %w", err)
	}
	limit.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return fmt.Errorf("core limit: %w", err)
	}
	return nil
}

// drop gives up the master's ids for good: groups first, while that is still
// allowed, then group, then user; real, effective and saved alike. The Go
// runtime applies each to all threads.
func drop(u *User) error {
	if err := syscall.Setgroups(u.Groups); err != nil {
		return fmt.Errorf("become %s: setgroups: %w", u.Name, err)
	}
	if err := syscall.Setresgid(u.GID, u.GID, u.GID); err != nil {
		return fmt.Errorf("become %s: setresgid %d: %w", u.Name, u.GID, err)
	}
	if u.UID < 0 {
		return nil
	}
	if err := syscall.Setresuid(u.UID, u.UID, u.UID); err != nil {
		return fmt.Errorf("become %s: setresuid %d: %w", u.Name, u.UID, err)
	}
	if u.UID != 0 && syscall.Setresuid(-1, 0, -1) == nil {
		return fmt.Errorf("become %s: root could be regained", u.Name)
	}
	return nil
}

// openSelf opens the running binary while rights are still there: under the
// app's user neither its path (/root/go/bin) nor /proc/self may be reachable.
func openSelf(o Order) (int, error) {
	if o.Exe > 0 {
		unix.CloseOnExec(o.Exe)
	}
	switch {
	case !o.Self:
		return -1, nil
	case o.Exe > 0:
		return o.Exe, nil
	}
	fd, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the running binary: %w", err)
	}
	return fd, nil
}

// leadsTo says that path is the very file that fd was opened on.
func leadsTo(path string, fd int) bool {
	var there, kept unix.Stat_t
	return unix.Stat(path, &there) == nil && unix.Fstat(fd, &kept) == nil &&
		there.Dev == kept.Dev && there.Ino == kept.Ino
}

// ExecFD runs the binary that fd was opened on, whatever stands under its name by
// now (execveat(2) with AT_EMPTY_PATH). It returns only an error. The kernel
// cannot run a script so, whose interpreter would have to open it by a name.
func ExecFD(fd int, argv, env []string) error {
	args, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return err
	}
	vars, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	// The Go runtime has raised the limit of open files for itself. syscall.Exec gives
	// it back, also if it fails as here; the app would keep it otherwise.
	_ = syscall.Exec("", argv, env)
	var empty byte
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty)),
		uintptr(unsafe.Pointer(&args[0])), uintptr(unsafe.Pointer(&vars[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}
