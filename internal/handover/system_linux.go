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

// ignoreReloads returns what takes it back. The kernel is told directly:
// signal.Ignore has the runtime forget a signal that a handler may just be called
// for on another thread, and that handler then ends the process.
func ignoreReloads() (restore func()) {
	if strings.HasPrefix(runtime.GOARCH, "mips") { // another layout
		signal.Ignore(reloads...)
		return func() {}
	}
	before := make([]action, len(reloads))
	for i, s := range reloads {
		setAction(s.(syscall.Signal), &action{ignored}, &before[i])
	}
	return func() {
		for i, s := range reloads {
			setAction(s.(syscall.Signal), &before[i], nil)
		}
	}
}

// action has room for the kernel's struct sigaction, which begins with the handler.
type action [8]uintptr

const (
	ignored    = 1 // SIG_IGN
	sigsetSize = 8
)

// setAction cannot fail for a signal that may be caught.
func setAction(s syscall.Signal, now, before *action) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s),
		uintptr(unsafe.Pointer(now)), uintptr(unsafe.Pointer(before)), sigsetSize, 0, 0)
}
