package worker

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// raw returns the descriptor's access below nc, through TLS if need be; nil if
// there is none.
func raw(nc net.Conn) syscall.RawConn {
	if inner, ok := nc.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		nc = inner.NetConn()
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return rc
}

// hasUnread tells whether bytes wait to be read in the kernel. It takes none and
// does not wait; the server's own read may be under way (so Control, not Read,
// which would queue behind it).
func hasUnread(nc net.Conn) bool {
	rc := raw(nc)
	if rc == nil {
		return false
	}
	unread := false
	_ = rc.Control(func(fd uintptr) { // an error: it is closed, nothing is unread
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		unread = err == nil && n > 0
	})
	return unread
}

// isClosedConn tells whether this process has closed nc. A connection that
// cannot be asked counts as closed: waiting for it would have no end.
func isClosedConn(nc net.Conn) bool {
	rc := raw(nc)
	return rc == nil || rc.Control(func(uintptr) {}) != nil
}
