package sockets

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// mostSockets bounds a group: each worker holds all sockets of its group, and they
// reach it in one message, which may carry 253 descriptors (SCM_MAX_FD in the
// kernel). Beyond the number of processors there is nothing to be gained anyway.
const mostSockets = 128

// ErrFull is what Grow returns of a group that is as large as it may become.
var ErrFull = fmt.Errorf("there are %d sockets for one address already", mostSockets)

// A Listener that was asked for with [Options.ReusePort] is a group: several sockets
// of one address (SO_REUSEPORT), among which the kernel shares new connections out by
// a hash of the client's address. All are the master's, so what is queued at one
// outlives the worker that serves it. The first socket is fd, the others are more.

// ReusesPort says whether this system shares connections out among the sockets of a
// group. Where it does not, a group has one socket.
const ReusesPort = reusePort

// Grouped reports whether l is a group, even if it has one socket only.
func (l *Listener) Grouped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grouped
}

// Group is a number by which all processes know the group, 0 if l is none.
func (l *Listener) Group() uint64 {
	if !l.Grouped() {
		return 0
	}
	return l.inode()
}

// FDs returns all descriptors of l, which owns them, in the order in which they were
// made; after Close one of -1. As FD it is for the goroutine that closes.
func (l *Listener) FDs() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fdsLocked()
}

func (l *Listener) fdsLocked() []int { return append([]int{l.fd}, l.more...) }

// SlotFD returns the descriptor that the worker in a slot, from 1 on, is given: its
// own socket if there are as many. For a listener that is no group it is FD.
func (l *Listener) SlotFD(slot int) int {
	fds := l.FDs()
	return fds[(max(slot, 1)-1)%len(fds)]
}

// Grow adds sockets to a group until it has n. What it has opened stays if it cannot
// open all.
func (l *Listener) Grow(n int, opt Options) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.grouped && reusePort && 1+len(l.more) < n {
		if 1+len(l.more) >= mostSockets {
			return ErrFull
		}
		fd, err := openBeside(l.fd, opt.withDefaults())
		if err != nil {
			return fmt.Errorf("open another socket for %s: %w", l.address, err)
		}
		l.more = append(l.more, fd)
	}
	return nil
}

// becomeGroup lets others share the address of l. Until it listens the first socket
// is alone there: a second server that starts with the same settings must not be let
// in by mistake, and take half of the connections.
func (l *Listener) becomeGroup() error {
	l.grouped = true
	if !reusePort {
		return nil
	}
	return sharePort(l.fd)
}

func sharePort(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return fmt.Errorf("setsockopt SO_REUSEPORT: %w", err)
	}
	return nil
}

// openBeside returns another socket with the address of the one at first.
func openBeside(first int, opt Options) (int, error) {
	sa, err := unix.Getsockname(first)
	if err != nil {
		return -1, err
	}
	family := unix.AF_INET
	if _, ok := sa.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	fd, err := newSocket(family, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	if err = sharePort(fd); err == nil {
		err = listenTCP(fd, sa, opt)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// closeMore closes all sockets of a group but the first. The caller holds l.mu.
func (l *Listener) closeMore() error {
	var errs []error
	for _, fd := range l.more {
		errs = append(errs, unix.Close(fd))
	}
	l.more = nil
	return errors.Join(errs...)
}

// restoreGroup takes the other sockets of a group over, as Restore does the first. If
// one of them is not what s says, all are left alone.
func (l *Listener) restoreGroup(s State) error {
	for _, fd := range s.More {
		other, err := identify(fd)
		if err == nil && (other.network != s.Network || other.address != s.Address) {
			err = fmt.Errorf("listens on %s (%s)", other.address, other.network)
		}
		if err == nil {
			err = other.secure()
		}
		if err != nil {
			return fmt.Errorf("descriptor %d %w", fd, err)
		}
	}
	l.grouped, l.more = s.Grouped, slices.Clone(s.More)
	return nil
}
