package sockets

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAdjustTCP(t *testing.T) {
	t.Parallel()
	opt := once
	opt.Backlog = 3
	l := listen(t, "127.0.0.1:0", opt)
	dial(t, l)
	for _, backlog := range []int{9, 2} {
		opt.Backlog, opt.DeferAccept = backlog, !opt.DeferAccept
		must(t, l.Adjust(opt))
		if _, limit := l.Queue(); limit != backlog || l.State().Backlog != backlog {
			t.Errorf("the kernel's backlog is %d, ours %d, want %d", limit, l.State().Backlog, backlog)
		}
		if got := sockopt(t, l.FD(), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT); got > 0 != opt.DeferAccept {
			t.Errorf("TCP_DEFER_ACCEPT is %d, asked for: %v", got, opt.DeferAccept)
		}
	}
	accept(t, l) // what was queued is not lost
}

// The kernel takes backlog+1 connections of a unix socket (unix_recvq_full).
func TestAdjustTheBacklogOfAUnixSocket(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"path": "unix:" + socketPath(t), "abstract": "unix:@fugue-adjust-backlog"} {
		t.Run(name, func(t *testing.T) {
			opt := once
			opt.Backlog = 1
			l := listen(t, address, opt)
			if n := fill(t, address[len("unix:"):]); n != 2 {
				t.Errorf("%d connections with a backlog of 1, want 2", n)
			}
			opt.Backlog = 4
			must(t, l.Adjust(opt))
			if n := fill(t, address[len("unix:"):]); n != 3 {
				t.Errorf("%d more with a backlog of 4, want 3", n)
			}
			opt.Backlog = 2
			must(t, l.Adjust(opt))
			for range 5 { // those above the limit stay, too
				accept(t, l)
			}
			if _, _, err := unix.Accept(l.FD()); !errors.Is(err, unix.EAGAIN) {
				t.Errorf("accept: %v, want EAGAIN", err)
			}
			if n := fill(t, address[len("unix:"):]); n != 3 {
				t.Errorf("%d with a backlog of 2, want 3", n)
			}
		})
	}
}
