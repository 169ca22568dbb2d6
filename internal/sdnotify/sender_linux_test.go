package sdnotify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// supervisor listens where the real one would.
type supervisor struct {
	t    *testing.T
	addr string
	fd   int
}

func supervise(t *testing.T, addr string) *supervisor {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: addr}); err != nil {
		t.Fatal(err)
	}
	return &supervisor{t, addr, fd}
}

// addresses are one of each kind, not used by any other test or run.
func addresses(t *testing.T) map[string]string {
	path := filepath.Join(t.TempDir(), "notify")
	return map[string]string{"path": path, "abstract": "@" + path}
}

// sender is what speaks to v, with the variables of extra.
func (v *supervisor) sender(extra ...string) *Sender {
	s := New(env(append(extra, "NOTIFY_SOCKET="+v.addr)...), os.Getpid())
	if s == nil {
		v.t.Fatalf("no sender for %s", v.addr)
	}
	v.t.Cleanup(func() { _ = unix.Close(s.fd) })
	return s
}

// heard are the datagrams that have come, all that there are: a datagram is
// there when its sender's call returns.
func (v *supervisor) heard() (all []string) {
	v.t.Helper()
	buffer := make([]byte, 4096)
	for {
		n, err := unix.Read(v.fd, buffer)
		if errors.Is(err, unix.EAGAIN) {
			return all
		}
		if err != nil {
			v.t.Fatal(err)
		}
		all = append(all, string(buffer[:n]))
	}
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for _, pair := range pairs {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func TestOneCallIsOneDatagram(t *testing.T) {
	t.Parallel()
	for name, addr := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			v := supervise(t, addr)
			s := v.sender()
			for _, c := range []struct {
				say  func()
				want string
			}{
				{func() { s.Ready("2 workers") }, "READY=1\nSTATUS=2 workers\n"},
				{func() { s.Ready("") }, "READY=1\n"},
				{func() { s.Status("3 workers") }, "STATUS=3 workers\n"},
				{func() { s.Status("") }, "STATUS=\n"},
				{func() { s.Stopping("draining") }, "STOPPING=1\nSTATUS=draining\n"},
				{func() { s.Stopping("") }, "STOPPING=1\n"},
				{s.Watchdog, "WATCHDOG=1"},
			} {
				c.say()
				if got := v.heard(); !slices.Equal(got, []string{c.want}) {
					t.Errorf("got %q, want %q", got, c.want)
				}
			}
			if s.Dropped() != 0 || s.Waiting() {
				t.Errorf("dropped %d, waiting %v", s.Dropped(), s.Waiting())
			}
		})
	}
}

// The supervisor compares the time with that of its own HUP.
func TestReloadingTellsTheTime(t *testing.T) {
	t.Parallel()
	v := supervise(t, addresses(t)["path"])
	s := v.sender()
	before := clock(t)
	s.Reloading("reload: 1 of 4")
	after := clock(t)
	var usec int64
	got := v.heard()
	if n, err := fmt.Sscanf(strings.Join(got, "|"), "RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=reload: 1 of 4\n", &usec); n != 1 || err != nil || len(got) != 1 {
		t.Fatalf("%q: %v", got, err)
	}
	if usec < before || usec > after {
		t.Errorf("%d is not from %d to %d", usec, before, after)
	}
}

func clock(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Nano() / 1000
}

func TestTheSocketIsNotInherited(t *testing.T) {
	t.Parallel()
	s := supervise(t, addresses(t)["abstract"]).sender()
	s.Ready("")
	flags, err := unix.FcntlInt(uintptr(s.fd), unix.F_GETFD, 0)
	status, err2 := unix.FcntlInt(uintptr(s.fd), unix.F_GETFL, 0)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if flags&unix.FD_CLOEXEC == 0 || status&unix.O_NONBLOCK == 0 {
		t.Errorf("flags %#x, status %#x", flags, status)
	}
}

// fill sends to v until its queue has no room left.
func (v *supervisor) fill() {
	v.t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		v.t.Fatal(err)
	}
	defer unix.Close(fd)
	for range 1 << 20 {
		err := unix.Sendto(fd, []byte("X=1"), unix.MSG_DONTWAIT, &unix.SockaddrUnix{Name: v.addr})
		if errors.Is(err, unix.EAGAIN) {
			return
		}
		if err != nil {
			v.t.Fatal(err)
		}
	}
	v.t.Fatal("the queue does not fill")
}

// within fails the test if f blocks.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it blocks")
	}
}

// A start that the supervisor never heard of would be ended by its limit.
func TestWhatABusySupervisorCannotTakeComesLaterInOrder(t *testing.T) {
	t.Parallel()
	for name, addr := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			v := supervise(t, addr)
			s := v.sender()
			v.fill()
			within(t, func() { s.Reloading(""); s.Ready("a"); s.Watchdog() })
			if !s.Waiting() || s.Dropped() != 1 {
				t.Errorf("waiting %v, dropped %d: the state is kept, the watchdog's beat is not", s.Waiting(), s.Dropped())
			}
			v.heard()
			s.Watchdog()
			got := v.heard()
			if len(got) != 3 || !strings.HasPrefix(got[0], "RELOADING=1\n") || got[1] != "READY=1\nSTATUS=a\n" || got[2] != "WATCHDOG=1" {
				t.Errorf("%q", got)
			}
			if s.Waiting() {
				t.Error("all was sent")
			}
		})
	}
}

func TestRetrySendsWhatIsWaiting(t *testing.T) {
	t.Parallel()
	v := supervise(t, addresses(t)["path"])
	s := v.sender()
	v.fill()
	s.Ready("")
	s.Retry()
	if !s.Waiting() {
		t.Error("there was no room yet")
	}
	v.heard()
	s.Retry()
	if got := v.heard(); !slices.Equal(got, []string{"READY=1\n"}) || s.Waiting() {
		t.Errorf("%q, waiting %v", got, s.Waiting())
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	v := supervise(t, addresses(t)["path"])
	s := v.sender()
	v.fill()
	for i := range 100 {
		s.Status(strconv.Itoa(i))
	}
	if s.Dropped() != 100-mostWaiting {
		t.Errorf("dropped %d", s.Dropped())
	}
	v.heard()
	s.Retry()
	if got := v.heard(); len(got) != mostWaiting || got[mostWaiting-1] != "STATUS=99\n" {
		t.Errorf("%q: the last is what counts", got)
	}
}

func TestASupervisorThatIsGoneIsNoFailure(t *testing.T) {
	t.Parallel()
	v := supervise(t, addresses(t)["path"])
	s := v.sender()
	if err := os.Remove(v.addr); err != nil {
		t.Fatal(err)
	}
	s.Ready("lost")
	s.Watchdog()
	if s.Dropped() != 2 || s.Waiting() {
		t.Errorf("dropped %d, waiting %v", s.Dropped(), s.Waiting())
	}
	again := supervise(t, v.addr)
	s.Ready("")
	if got := again.heard(); !slices.Equal(got, []string{"READY=1\n"}) {
		t.Errorf("%q: a new socket at the same address is found", got)
	}
}

// Its file is there, but nobody listens any more (ECONNREFUSED).
func TestASupervisorThatClosedItsSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Close(fd)); err != nil {
		t.Fatal(err)
	}
	s := (&supervisor{t: t, addr: path}).sender()
	s.Stopping("")
	if s.Dropped() != 1 || s.Waiting() {
		t.Errorf("dropped %d, waiting %v", s.Dropped(), s.Waiting())
	}
}

// An exec in place leaves the environment: the successor is heard as well.
func TestASuccessorSpeaksToTheSameSupervisor(t *testing.T) {
	t.Parallel()
	v := supervise(t, addresses(t)["path"])
	v.sender().Reloading("")
	v.sender().Ready("upgraded")
	if got := v.heard(); len(got) != 2 || got[1] != "READY=1\nSTATUS=upgraded\n" {
		t.Errorf("%q", got)
	}
}
