package handover

import (
	"errors"
	"fmt"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory returns a new file that has no name and takes no room on any disk, which
// may be full or read-only. It says that nobody will execute it, as a hardened
// system demands (vm.memfd_noexec=2); a kernel before 6.3 does not know the flag.
func memory() (int, error) {
	fd, err := unix.MemfdCreate("fugue handover", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate("fugue handover", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return -1, fmt.Errorf("memfd_create: %w", err)
	}
	return fd, nil
}

// hold blocks in this thread, and ignores, what must not end the process between the
// exec and the moment when the next image catches it. It returns what takes that back.
func hold() (restore func()) {
	var set, before unix.Sigset_t
	for _, s := range held {
		const bits = 8 * unsafe.Sizeof(set.Val[0])
		n := uintptr(s.(syscall.Signal)) - 1
		set.Val[n/bits] |= 1 << (n % bits)
	}
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, &before) // fails for wrong arguments only
	heed := ignore()
	return func() {
		heed()
		_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	}
}

// ignore returns what takes it back. The kernel is told directly: signal.Ignore has
// the runtime forget a signal that a handler may just be called for on another
// thread, and that handler then ends the process.
func ignore() (restore func()) {
	if strings.HasPrefix(runtime.GOARCH, "mips") { // another layout
		signal.Ignore(ignored...)
		return func() {}
	}
	before := make([]action, len(ignored))
	for i, s := range ignored {
		setAction(s.(syscall.Signal), &action{sigIgn}, &before[i])
	}
	return func() {
		for i, s := range ignored {
			setAction(s.(syscall.Signal), &before[i], nil)
		}
	}
}

// action has room for the kernel's struct sigaction, which begins with the handler.
type action [8]uintptr

const (
	sigIgn     = 1 // SIG_IGN
	sigsetSize = 8
)

// setAction cannot fail for a signal that may be caught.
func setAction(s syscall.Signal, now, before *action) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s),
		uintptr(unsafe.Pointer(now)), uintptr(unsafe.Pointer(before)), sigsetSize, 0, 0)
}

// mortal starts a program in a group of its own that ends with the thread that starts
// it (PR_SET_PDEATHSIG).
func mortal() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
