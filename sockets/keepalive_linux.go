package sockets

import (
	"net"
	"reflect"

	"golang.org/x/sys/unix"
)

// keepInherited has ln leave keep-alive as its connections have inherited it from the
// listening socket (tcp(7)), where that is on: package net would set the same again
// on each of them, with four system calls of five that a new connection takes.
//
// ListenConfig says so for a listener that package net has opened itself; for one
// made of a descriptor there is no way to (net.FileListener), so the field of the
// listener is set. Where a version of Go has no such field all is as it was, and a
// test says so.
func keepInherited(ln *net.TCPListener, fd int) {
	if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE); err != nil || on == 0 {
		return
	}
	config := reflect.ValueOf(ln).Elem().FieldByName("lc")
	if config.IsValid() && config.Type() == reflect.TypeFor[net.ListenConfig]() {
		(*net.ListenConfig)(config.Addr().UnsafePointer()).KeepAlive = -1
	}
}
