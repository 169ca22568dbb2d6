package master

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/master/pool"
)

// notifySocket is one worker's, read until the test ends.
func notifySocket(t *testing.T, pid int) (address string, n *notifyReader, events chan event) {
	t.Helper()
	fd, name, err := openNotify()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{slot: 2, pid: pid}
	c.listenToNotify(fd, name)
	t.Cleanup(c.closeNotify)
	events = make(chan event, 16)
	go c.notify.run(events)
	return "@" + name, c.notify, events
}

func notify(t *testing.T, address, text string, oob []byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendmsg(fd, []byte(text), oob, &unix.SockaddrUnix{Name: address}, 0); err != nil {
		t.Fatal(err)
	}
}

func TestNotifyUnderstands(t *testing.T) {
	t.Parallel()
	address, _, events := notifySocket(t, os.Getpid())
	notify(t, address, "READY=1\nSTATUS=warm \x1b[31m\nMAINPID=1\nFDSTORE=1\n", nil)
	notify(t, address, "WATCHDOG=1", nil)
	notify(t, address, "STOPPING=1\n", nil)
	notify(t, address, strings.Repeat("x", 3*longestNotify), nil)
	notify(t, address, "WATCHDOG=1", nil)
	want := []event{
		{Event: pool.Event{Kind: pool.ReadySaid}},
		{said: saysStatus, Event: pool.Event{Why: "warm ?[31m"}},
		{Event: pool.Event{Kind: pool.BeatHeard, Bare: true}},
		{Event: pool.Event{Kind: pool.DrainingSaid}},
		{Event: pool.Event{Kind: pool.BeatHeard, Bare: true}},
	}
	for i, x := range want {
		got := <-events
		if got.PID != os.Getpid() || got.Slot != 2 || got.said != x.said || got.Kind != x.Kind || got.Why != x.Why || got.Bare != x.Bare {
			t.Errorf("event %d: %+v, want %+v", i, got, x)
		}
	}
}

// A message counts only if the worker itself has sent it. What came before the one
// that counts has been read, so there is nothing to wait for.
func TestNotifyBelievesTheWorkerAlone(t *testing.T) {
	t.Parallel()
	address, n, events := notifySocket(t, 1)
	notify(t, address, "READY=1", nil)
	notify(t, address, "STOPPING=1", unix.UnixRights(0, 1, 2))
	n.rest()
	for {
		e := <-events
		if e.said == notifyOver {
			break
		}
		t.Errorf("believed a stranger: %+v", e)
	}
}

// Descriptors that come with a message are closed.
func TestNotifyKeepsNoDescriptors(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
	address, _, events := notifySocket(t, os.Getpid())
	before := len(openFiles(t))
	for range 20 {
		notify(t, address, "WATCHDOG=1", unix.UnixRights(0, 1, 2))
		<-events
	}
	if after := len(openFiles(t)); after > before+3 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func openFiles(t *testing.T) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A reader that rests leaves what arrives in the socket, for the next one.
func TestNotifyRests(t *testing.T) {
	t.Parallel()
	address, n, events := notifySocket(t, os.Getpid())
	n.rest()
	if e := <-events; e.said != notifyOver {
		t.Fatalf("got %+v", e)
	}
	notify(t, address, "READY=1", nil)
	_ = n.file.SetReadDeadline(time.Time{})
	go n.run(events)
	if e := <-events; e.Kind != pool.ReadySaid {
		t.Errorf("got %+v", e)
	}
}

// A flood is read slowly.
func TestNotifyThrottlesAFlood(t *testing.T) {
	t.Parallel()
	address, _, events := notifySocket(t, os.Getpid())
	stop := make(chan struct{})
	go func() {
		fd, _ := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		defer unix.Close(fd)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Sendto(fd, []byte("WATCHDOG=1"), 0, &unix.SockaddrUnix{Name: address})
			}
		}
	}()
	defer close(stop)
	heard, end := 0, time.After(4*linesPause)
	for {
		select {
		case <-events:
			heard++
			continue
		case <-end:
		}
		break
	}
	if most := 6 * (linesAtOnce + 1); heard > most {
		t.Errorf("%d messages in %s, more than %d", heard, 4*linesPause, most)
	}
}
