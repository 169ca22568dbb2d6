package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// bell is how a worker that stands back is called by another: a datagram to a
// socket that the kernel has given a name of five hexadecimal digits (unix(7),
// autobind), so the name is a number that fits into a notice. Anybody on the
// machine can ring; it only makes the worker look. A name ends with its process.
type bell struct {
	conn   *net.UnixConn // rings others as well
	number uint32
}

func newBell() (*bell, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "bell")
	defer f.Close()
	number, err := bindAnyName(fd)
	if err != nil {
		return nil, err
	}
	conn, err := net.FilePacketConn(f) // has a duplicate
	if err != nil {
		return nil, err
	}
	return &bell{conn.(*net.UnixConn), number}, nil
}

func bindAnyName(fd int) (uint32, error) {
	if err := unix.Bind(fd, &unix.SockaddrUnix{}); err != nil {
		return 0, fmt.Errorf("bind: %w", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("getsockname: %w", err)
	}
	name := sa.(*unix.SockaddrUnix).Name
	n, err := strconv.ParseUint(name[min(1, len(name)):], 16, 20)
	if err != nil || n == 0 { // 0 means that there is no bell
		return 0, fmt.Errorf("the kernel has bound to %q", name)
	}
	return uint32(n), nil
}

// heard calls f for each ring, until close.
func (b *bell) heard(f func()) {
	var one [1]byte
	for {
		if _, _, err := b.conn.ReadFrom(one[:]); errors.Is(err, net.ErrClosed) {
			return
		} else if err != nil {
			continue
		}
		f()
	}
}

// ring calls the worker of that number. If it is gone, or has been called often
// enough to be awake, nothing happens; nobody waits for it.
func (b *bell) ring(number uint32) {
	raw, err := b.conn.SyscallConn()
	if err != nil || number == 0 {
		return
	}
	to := &unix.SockaddrUnix{Name: fmt.Sprintf("@%05x", number)}
	_ = raw.Control(func(fd uintptr) { // fails if it is closed: then nobody is to be called
		_ = unix.Sendto(int(fd), []byte{1}, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, to)
	})
}

func (b *bell) close() { b.conn.Close() }
