package master

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/handover"
)

// collect reaps pid if it has ended. What is left of its process group is
// killed first: as long as the leader is a zombie the group's number cannot be
// given to someone else.
func collect(pid int) (unix.WaitStatus, bool) {
	if ended(unix.P_PID, pid) == 0 {
		return 0, false
	}
	_ = unix.Kill(-pid, unix.SIGKILL) // ESRCH: nobody is left
	var status unix.WaitStatus
	got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
	return status, got == pid && err == nil
}

// ended returns the pid of a child that has ended and was not waited for,
// without waiting for it (waitid(2) with WNOWAIT); 0 if there is none.
func ended(which, pid int) int {
	var info unix.Siginfo
	for {
		err := unix.Waitid(which, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || info.Signo == 0 {
			return 0
		}
		return sender(&info)
	}
}

// sender reads si_pid, the first member of the union in siginfo_t, which is
// aligned like a pointer behind three ints.
func sender(info *unix.Siginfo) int {
	const ints = 3 * unsafe.Sizeof(int32(0))
	const word = unsafe.Sizeof(uintptr(0))
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), (ints+word-1)/word*word)))
}

// reapOrphans does the duty of process 1: whoever loses its parent becomes its
// child and stays a zombie until it is waited for. Elsewhere a child that this
// master did not start belongs to other code in this process, which waits for it.
func (m *master) reapOrphans() {
	if os.Getpid() != 1 {
		return
	}
	for pid := ended(unix.P_ALL, 0); pid != 0; pid = ended(unix.P_ALL, 0) {
		if c := m.children[pid]; c != nil && c.exit == nil {
			m.bury(c)
		} else if m.output.isLogger(pid) {
			m.output.reap()
		} else if !reapStranger(pid) {
			return
		}
	}
}

// reapStranger waits for a child that this loop does not know. It may be the trial
// of a new binary, which waits for it as well.
func reapStranger(pid int) bool {
	var status unix.WaitStatus
	got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
	if got != pid || err != nil {
		return false
	}
	handover.Reaped(pid, status)
	return true
}
