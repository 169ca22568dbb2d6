package sockets

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const abstractNames = false

// reusePort: with SO_REUSEPORT the last socket gets all connections here.
const reusePort = false

// newSocket opens a stream socket that is close-on-exec and O_NONBLOCK. The
// lock keeps a fork from coming between, as there is no SOCK_CLOEXEC.
func newSocket(family, protocol int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(family, unix.SOCK_STREAM, protocol)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("set O_NONBLOCK: %w", err)
	}
	return fd, nil
}

func systemOptions(bool) []tcpOption {
	return []tcpOption{{"TCP_KEEPALIVE", unix.IPPROTO_TCP, unix.TCP_KEEPALIVE, 15}}
}

// Queue returns how many connections may wait to be accepted. How many do is
// not known here.
func (l *Listener) Queue() (waiting, limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return 0, l.backlog
}

func queueOf(int) (waiting, limit int, err error) { return 0, 0, unix.ENOTSUP }

// narrow does nothing: there is no way to tell bind the mode but the umask of
// the whole process. Nobody can connect before listen, and dress comes first.
func narrow(int) error { return nil }

// dress gives the socket's file, the known one if known is not zero, its owner
// and mode and returns what it is, even when that failed.
func dress(path string, opt Options, known inode) (inode, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return inode{}, err
	}
	is, err := expect(info, path, known)
	if err != nil {
		return inode{}, err
	}
	if err := os.Lchown(path, opt.Owner, opt.Group); err != nil {
		return is, err
	}
	return is, os.Chmod(path, opt.Mode.Perm())
}
