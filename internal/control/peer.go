package control

import "net"

// peerUID is the user at the other end of a unix socket, as the kernel knows it.
func peerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	uid := -1
	if ctl := raw.Control(func(fd uintptr) { uid, err = credential(int(fd)) }); ctl != nil {
		return -1, ctl
	}
	return uid, err
}
