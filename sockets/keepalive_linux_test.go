package sockets

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection has keep-alive as the listener has it, and is not told again; without
// a word of the listener it is what package net makes of it. If the first of these
// fails with another version of Go, its listener has changed: nothing is wrong but
// four system calls for each connection.
func TestKeepAliveIsInherited(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		on, idle, want int
	}{
		{"the listener says", 1, 77, 77},
		{"the listener is silent", 0, 77, 15},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := listen(t, "127.0.0.1:0", once)
			must(t, unix.SetsockoptInt(l.FD(), unix.SOL_SOCKET, unix.SO_KEEPALIVE, c.on))
			must(t, unix.SetsockoptInt(l.FD(), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, c.idle))
			ln, err := listenOn(l.FD())
			must(t, err)
			defer ln.Close()
			dial(t, l)
			conn, err := ln.Accept()
			must(t, err)
			defer conn.Close()
			raw, err := conn.(*net.TCPConn).SyscallConn()
			must(t, err)
			must(t, raw.Control(func(fd uintptr) {
				if on := sockopt(t, int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE); on != 1 {
					t.Error("keep-alive is off")
				}
				if idle := sockopt(t, int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE); idle != c.want {
					t.Errorf("the first probe comes after %d s, want %d", idle, c.want)
				}
			}))
		})
	}
}
