package sockets

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Nonblocking reports whether fd has O_NONBLOCK.
func Nonblocking(fd int) (bool, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return false, fmt.Errorf("fcntl F_GETFL of descriptor %d: %w", fd, err)
	}
	return flags&unix.O_NONBLOCK != 0, nil
}

// KeepNonblocking sets O_NONBLOCK again if an app has cleared it, and reports
// whether it had to. The flag belongs to the open description that all workers
// share: cleared by one, it leaves accept blocking in the others, deaf to
// Shutdown (golang/go#24942, #43894).
func KeepNonblocking(l *Listener) (restored bool, err error) {
	for _, fd := range l.FDs() {
		ok, err := Nonblocking(fd)
		if err != nil {
			return restored, err
		}
		if ok {
			continue
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return restored, fmt.Errorf("set O_NONBLOCK of %s: %w", l.address, err)
		}
		restored = true
	}
	return restored, nil
}
