package sockets

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// acceptFrom takes a connection from a socket that is not registered with the
// runtime's poller; it is one of package net like any other. It does not wait:
// unix.EAGAIN says that there is none.
func acceptFrom(fd int) (net.Conn, error) {
	// FileConn makes a duplicate. Were there no descriptor left for that, the client
	// would be cut off; so one is kept free before anything is accepted.
	spare, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	// Blocking, so that NewFile leaves it off the poller; FileConn changes that.
	nfd, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	unix.Close(spare)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(nfd), "connection")
	defer f.Close()
	return net.FileConn(f)
}
