package httpwatch

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// carried is how much has come from the peer and how much it has taken:
// tcpi_bytes_received and tcpi_bytes_acked of tcp(7). Elsewhere what waits in the
// two queues stands for it: it changes whenever one of the two does something.
func carried(c net.Conn) (received, acked uint64, ok bool) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn() // under TLS
	}
	sc, isSocket := c.(syscall.Conn)
	if !isSocket {
		return 0, 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			received, acked, ok = info.Bytes_received, info.Bytes_acked, true
			return
		}
		in, errIn := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		out, errOut := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		received, acked, ok = uint64(in), uint64(out), errIn == nil && errOut == nil
	})
	return received, acked, ok
}
