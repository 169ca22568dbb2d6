package httpwatch

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// ackedBytes is how much the peer has taken so far: acknowledged bytes on TCP
// (tcp(7), tcpi_bytes_acked), elsewhere what has left the send queue, as far as
// it can be told.
func ackedBytes(c net.Conn) (uint64, bool) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn() // under TLS
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, false
	}
	acked, ok := uint64(0), false
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			acked, ok = info.Bytes_acked, true
			return
		}
		if queued, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			acked, ok = uint64(queued), true // changes whenever the peer reads or we write
		}
	})
	return acked, ok
}
