package sockets

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// abstractNames: unix(7), "Abstract sockets".
const abstractNames = true

// reusePort: socket(7), SO_REUSEPORT; it shares connections out since Linux 3.9.
const reusePort = true

// newSocket opens a stream socket that is close-on-exec and O_NONBLOCK.
func newSocket(family, protocol int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	return fd, nil
}

func systemOptions(deferAccept bool) []tcpOption {
	return []tcpOption{
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
		// Seconds until a silent connection is handed on all the same, 0 = at once;
		// nginx and unicorn use 1, too.
		{"TCP_DEFER_ACCEPT", unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, boolInt(deferAccept)},
	}
}

// Queue returns how many connections wait to be accepted and how many may, at all
// sockets of a group together. For
// a unix socket the first is not known (0), for an inherited one the second, too.
func (l *Listener) Queue() (waiting, limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.network != "tcp" {
		return 0, l.backlog
	}
	for _, fd := range l.fdsLocked() {
		w, most, err := queueOf(fd)
		if err != nil {
			return 0, l.backlog
		}
		waiting, limit = waiting+w, limit+most
	}
	return waiting, limit
}

// queueOf asks the kernel. Of a listening TCP socket, TCP_INFO has the two as
// unacked and sacked (tcp_get_info in the kernel's net/ipv4/tcp.c; ss(8) shows
// them as Recv-Q and Send-Q); of others it is an error.
func queueOf(fd int) (waiting, limit int, err error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, 0, err
	}
	return int(info.Unacked), int(info.Sacked), nil
}

// narrow lets the file that bind is about to make be born with mode 0600: Linux
// takes the mode of the socket's own inode, less the umask (unix_bind_bsd in
// net/unix/af_unix.c). Setting the umask instead would change the files that
// other goroutines create meanwhile.
func narrow(fd int) error { return unix.Fchmod(fd, 0o600) }

// dress gives the socket's file its owner and mode and returns what it is, even
// when that failed. It holds on to the file that it has seen to be a socket, the
// known one if known is not zero (O_PATH), so that nothing put in its place gets
// them.
func dress(path string, opt Options, known inode) (inode, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return inode{}, fmt.Errorf("open %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return inode{}, err
	}
	is, err := expect(info, path, known)
	if err != nil {
		return inode{}, err
	}
	return is, setAccess(fd, opt)
}

func setAccess(fd int, opt Options) error {
	if opt.Owner != -1 || opt.Group != -1 {
		if err := unix.Fchownat(fd, "", opt.Owner, opt.Group, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("chown to %d:%d: %w", opt.Owner, opt.Group, err)
		}
	}
	// fchmod refuses an O_PATH descriptor; its link in /proc does not (open(2)).
	if err := unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), uint32(opt.Mode.Perm())); err != nil {
		return fmt.Errorf("chmod to %04o: %w", opt.Mode.Perm(), err)
	}
	return nil
}
