package sockets

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Accepted sockets are copies of the listener as far as these options go.
func TestAcceptedSocketsInheritOptions(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0", once)
	dial(t, l)
	fd := accept(t, l)
	for _, o := range []struct {
		name             string
		level, opt, want int
	}{
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
		{"SO_PROTOCOL", unix.SOL_SOCKET, unix.SO_PROTOCOL, unix.IPPROTO_TCP}, // not MPTCP
	} {
		if got := sockopt(t, fd, o.level, o.opt); got != o.want {
			t.Errorf("%s is %d, want %d", o.name, got, o.want)
		}
	}
}

func TestDeferAcceptOnlyIfAsked(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		opt := once
		opt.DeferAccept = asked
		l := listen(t, "127.0.0.1:0", opt)
		if got := sockopt(t, l.FD(), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT); got > 0 != asked {
			t.Errorf("TCP_DEFER_ACCEPT is %d, asked for: %v", got, asked)
		}
	}
}

// F66: the depth of the accept queue can be seen.
func TestQueueCountsWaitingConnections(t *testing.T) {
	t.Parallel()
	opt := once
	opt.Backlog = 7
	l := listen(t, "127.0.0.1:0", opt)
	wantQueue := func(want int) {
		t.Helper()
		eventually(t, "queue as long as wanted", func() bool { n, limit := l.Queue(); return n == want && limit == 7 })
	}
	wantQueue(0)
	dial(t, l)
	dial(t, l)
	wantQueue(2)
	accept(t, l)
	wantQueue(1)
}

func TestQueueOfAUnixSocket(t *testing.T) {
	t.Parallel()
	opt := once
	opt.Backlog = 7
	l := listen(t, "unix:"+socketPath(t), opt)
	dial(t, l)
	if n, limit := l.Queue(); n != 0 || limit != 7 {
		t.Errorf("queue %d of %d, want 0 of 7", n, limit)
	}
}

func sockopt(t *testing.T, fd, level, opt int) int {
	t.Helper()
	v, err := unix.GetsockoptInt(fd, level, opt)
	must(t, err)
	return v
}

// eventually waits until ok, which what the kernel is about to do makes true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}
