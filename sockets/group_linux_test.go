package sockets

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// group opens one of n sockets.
func group(t *testing.T, address string, n int) *Listener {
	t.Helper()
	opt := once
	opt.ReusePort, opt.Backlog = true, 64
	l := listen(t, address, opt)
	must(t, l.Grow(n, opt))
	return l
}

// queues is how many connections wait at each socket.
func queues(t *testing.T, fds []int) (waiting []int) {
	t.Helper()
	for _, fd := range fds {
		n, _, err := queueOf(fd)
		must(t, err)
		waiting = append(waiting, n)
	}
	return waiting
}

// enqueue connects until n connections wait at each socket, and returns how many do.
func enqueue(t *testing.T, l *Listener, n int) (waiting []int) {
	t.Helper()
	for waiting = queues(t, l.FDs()); slices.Min(waiting) < n; waiting = queues(t, l.FDs()) {
		if slices.Max(waiting) >= 60 {
			t.Fatalf("the queues have %v", waiting)
		}
		dial(t, l)
	}
	return waiting
}

func sum(list []int) (n int) {
	for _, k := range list {
		n += k
	}
	return n
}

func TestAGroupIsSeveralSocketsOfOneAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			l := group(t, address, 3)
			fds := l.FDs()
			if len(fds) != 3 || !l.Grouped() || fds[0] != l.FD() {
				t.Fatalf("descriptors %v, the first is %d", fds, l.FD())
			}
			for slot, want := range map[int]int{1: fds[0], 2: fds[1], 3: fds[2], 4: fds[0], 0: fds[0]} {
				if got := l.SlotFD(slot); got != want {
					t.Errorf("slot %d has descriptor %d of %v", slot, got, fds)
				}
			}
			for _, fd := range fds {
				wantFlags(t, fd)
				at, err := identify(fd)
				must(t, err)
				if at.address != l.Address() {
					t.Errorf("one listens on %s, not on %s", at.address, l.Address())
				}
			}
			_, port, err := net.SplitHostPort(l.Address())
			must(t, err)
			host := map[string]string{"127.0.0.1:0": "127.0.0.1", "[::1]:0": "::1", ":0": "127.0.0.1"}[address]
			for range 36 {
				c, err := net.Dial("tcp", net.JoinHostPort(host, port))
				must(t, err)
				defer c.Close()
			}
			if got := queues(t, fds); slices.Contains(got, 0) || got[0]+got[1]+got[2] != 36 {
				t.Errorf("36 connections are shared out as %v", got)
			}
			if waiting, limit := l.Queue(); waiting != 36 || limit != 3*64 {
				t.Errorf("queue %d of %d", waiting, limit)
			}
		})
	}
}

// A second server with the same settings, of the same user, must not take a part of
// the connections by mistake.
func TestAGroupLetsNobodyElseIn(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 2)
	second := once
	second.ReusePort = true
	if err := refused(t, l.Address(), second, "another program listens there"); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("%v", err)
	}
	refused(t, l.Address(), once, "another program listens there")
	must(t, l.Grow(3, once)) // it can itself
	if n := len(l.FDs()); n != 3 {
		t.Errorf("%d sockets", n)
	}
	alone := listen(t, "127.0.0.1:0", once)
	refused(t, alone.Address(), second, "another program listens there")
}

func TestAGroupGrows(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 1)
	first := l.FD()
	for _, n := range []int{3, 2, 0} {
		must(t, l.Grow(n, once))
		if fds := l.FDs(); len(fds) != 3 || fds[0] != first {
			t.Errorf("grown to %d there are %v", n, fds)
		}
	}
	if err := l.Grow(mostSockets+1, once); !errors.Is(err, ErrFull) || len(l.FDs()) != mostSockets {
		t.Errorf("%v, %d sockets", err, len(l.FDs()))
	}
	alone := listen(t, "127.0.0.1:0", once)
	must(t, alone.Grow(5, once))
	if n := len(alone.FDs()); n != 1 || alone.Grouped() {
		t.Errorf("a listener that is no group has %d sockets", n)
	}
}

func TestAGroupIsAdjustedAsAWhole(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 3)
	must(t, l.Adjust(Options{Name: "web", Backlog: 5, DeferAccept: true}))
	for i, fd := range l.FDs() {
		_, limit, err := queueOf(fd)
		must(t, err)
		deferred, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT)
		must(t, err)
		if limit != 5 || deferred == 0 {
			t.Errorf("socket %d: backlog %d, TCP_DEFER_ACCEPT %d", i, limit, deferred)
		}
		must(t, unix.SetNonblock(fd, false))
	}
	if restored, err := KeepNonblocking(l); err != nil || !restored {
		t.Errorf("restored %v, %v", restored, err)
	}
	for _, fd := range l.FDs() {
		wantFlags(t, fd)
	}
}

func TestAGroupIsClosedAsAWhole(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 3)
	must(t, l.Close())
	if fds := l.FDs(); len(fds) != 1 || l.SlotFD(2) != -1 {
		t.Errorf("descriptors %v are left", fds)
	}
	again := once
	again.ReusePort = true
	listen(t, l.Address(), again)
}

// What is written down survives, and what does not fit is left alone.
func TestAGroupIsRestored(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 3)
	text, err := json.Marshal(l.State())
	must(t, err)
	var s State
	must(t, json.Unmarshal(text, &s))
	if !reflect.DeepEqual(s, l.State()) {
		t.Fatalf("%+v has become %+v", l.State(), s)
	}
	now, err := Restore(s)
	must(t, err)
	if !slices.Equal(now.FDs(), l.FDs()) || !now.Grouped() {
		t.Errorf("%v has become %v", l.FDs(), now.FDs())
	}
	other := listen(t, "127.0.0.1:0", once)
	s.More[1] = other.FD()
	if _, err := Restore(s); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("listens on %s", other.Address())) {
		t.Errorf("restored with a stranger's socket: %v", err)
	}
}
