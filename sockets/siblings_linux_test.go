package sockets

import (
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// neighbour is a worker of a group: its own socket is the one at index, and it helps
// with the others.
type neighbour struct {
	t    *testing.T
	seat *Seat
	ln   *shared
	gate *Gate
	came chan net.Conn // one for each connection that was accepted
}

func newNeighbour(t *testing.T, l *Listener, index int) *neighbour {
	t.Helper()
	n := &neighbour{t: t, seat: NewSeat(), came: make(chan net.Conn, 1<<12)}
	ln, err := n.seat.Listen(dup(t, l.FDs()[index]))
	must(t, err)
	n.ln, n.gate = ln.(*shared), NewGate(ln)
	n.seat.Share(7, dups(t, l))
	t.Cleanup(func() {
		n.gate.Close()
		for len(n.came) > 0 {
			(<-n.came).Close()
		}
	})
	return n
}

// work accepts until the gate is closed.
func (n *neighbour) work() {
	for {
		c, err := n.gate.Accept()
		if err != nil {
			return
		}
		n.came <- c
	}
}

func (n *neighbour) await(count int) {
	n.t.Helper()
	for i := range count {
		select {
		case c := <-n.came:
			c.Close()
		case <-time.After(gateLimit):
			n.t.Fatalf("connection %d of %d is not accepted", i+1, count)
		}
	}
}

func (n *neighbour) fostering() int {
	n.ln.mu.Lock()
	defer n.ln.mu.Unlock()
	count := 0
	for _, b := range n.ln.siblings {
		if b.foster != nil {
			count++
		}
	}
	return count
}

func dup(t *testing.T, fd int) int {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	must(t, err)
	return fd
}

func dups(t *testing.T, l *Listener) (fds []int) {
	t.Helper()
	for _, fd := range l.FDs() {
		fds = append(fds, dup(t, fd))
	}
	return fds
}

// dialN makes n connections that end with the test.
func dialN(t *testing.T, l *Listener, n int) {
	t.Helper()
	for range n {
		dial(t, l)
	}
}

// Queues that nobody serves are served by a neighbour: on its rounds at first, and
// once that has happened often enough, as soon as a connection comes.
func TestNeighboursServeAQueueOfNobody(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 3)
	n := newNeighbour(t, l, 0)
	waiting := enqueue(t, l, 3)
	go n.work()
	n.await(sum(waiting))
	eventually(t, "it stays with both", func() bool {
		dial(t, l)
		n.await(1)
		return n.fostering() == 2
	})
	dialN(t, l, 60)
	n.await(60)
}

// A helper serves its own queue as well.
func TestAHelperSharesItsTurns(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 2)
	n := newNeighbour(t, l, 0)
	before := enqueue(t, l, 12)
	n.ln.send(n.ln.siblings[0])
	for range 8 {
		c, err := n.gate.Accept()
		must(t, err)
		n.came <- c
	}
	if now := queues(t, l.FDs()); before[0]-now[0] != 4 || before[1]-now[1] != 4 {
		t.Errorf("8 were accepted, of %v are left %v", before, now)
	}
}

// A worker that comes back has its socket for itself again.
func TestANeighbourLetsGo(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 2)
	n := newNeighbour(t, l, 0)
	go n.work()
	eventually(t, "it stays with the other's socket", func() bool {
		dial(t, l)
		n.await(1)
		return n.fostering() == 1
	})
	back := newNeighbour(t, l, 1)
	go back.work()
	eventually(t, "it lets go", func() bool {
		c := dial(t, l)
		select {
		case got := <-n.came:
			got.Close()
		case got := <-back.came:
			got.Close()
		}
		c.Close()
		return n.fostering() == 0
	})
}

// A gate that closes while its worker helps leaves each connection with somebody: it
// was accepted, or it is in its queue still.
func TestNothingIsInLimboWhenAHelperLeaves(t *testing.T) {
	t.Parallel()
	for range 20 {
		l := group(t, "127.0.0.1:0", 3)
		n := newNeighbour(t, l, 0)
		const all = 30
		var dialed sync.WaitGroup
		dialed.Go(func() { dialN(t, l, all) })
		var worked sync.WaitGroup
		worked.Go(n.work)
		for range 5 {
			n.await(1)
		}
		n.gate.Close()
		worked.Wait()
		dialed.Wait()
		left := sum(queues(t, l.FDs()))
		if got := 5 + len(n.came); got+left != all {
			t.Fatalf("%d connections were accepted and %d wait, of %d", got, left, all)
		}
	}
}

// On a full stop the last ones serve what is queued at all sockets, also of slots that
// have no worker.
func TestTheLastServeTheWholeGroup(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 4)
	n := newNeighbour(t, l, 0)
	waiting := enqueue(t, l, 6)
	must(t, l.Close()) // as the master does
	last := make(chan struct{})
	close(last)
	go n.work()
	n.seat.Rise()
	n.gate.Shut(last)
	n.await(sum(waiting))
}

// One that drains may be the last that has the sockets, for all it knows: what nobody
// else serves it takes along, but it does not wait long for a server that is busy.
func TestADrainServesWhatNobodyElseDoes(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 3)
	n := newNeighbour(t, l, 0)
	waiting := enqueue(t, l, 6)
	must(t, l.Close()) // as the master does with an address that the file no longer names
	go n.work()
	n.seat.Rise()
	n.gate.queueTime = gateLimit // of a machine that is busy
	n.gate.Shut(nil)
	n.await(sum(waiting))
	select {
	case c := <-n.came:
		t.Errorf("one more has come: %v", c.RemoteAddr())
	default:
	}
}

// Who counts less, or has counted earlier, takes nothing back of what Accept was sent
// for.
func TestAnErrandGrows(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 2)
	n := newNeighbour(t, l, 0)
	n.ln.mu.Lock()
	defer n.ln.mu.Unlock()
	b := n.ln.siblings[0]
	for i, c := range []struct{ send, take int }{{6, 6}, {5, 6}, {7, 7}} {
		if n.ln.sendLocked(b, c.send); b.take != c.take || n.ln.errands != 1 {
			t.Errorf("%d: sent for %d, takes %d in %d errands", i, c.send, b.take, n.ln.errands)
		}
	}
}

func TestADrainDoesNotWaitForABusyServer(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 2)
	n := newNeighbour(t, l, 0)
	waiting := enqueue(t, l, 6)
	n.gate.Shut(nil) // nobody accepts
	if got := queues(t, l.FDs()); !slices.Equal(got, waiting) {
		t.Errorf("of %v are left %v", waiting, got)
	}
}

func TestShareTakesWhatItNeeds(t *testing.T) {
	t.Parallel()
	l := group(t, "127.0.0.1:0", 3)
	n := newNeighbour(t, l, 1)
	siblings := func() int {
		n.ln.mu.Lock()
		defer n.ln.mu.Unlock()
		return len(n.ln.siblings)
	}
	if got := siblings(); got != 2 {
		t.Fatalf("%d siblings", got)
	}
	n.seat.Share(7, dups(t, l)) // once more, as after an upgrade of the master
	must(t, l.Grow(4, once))
	n.seat.Share(7, []int{dup(t, l.FDs()[3])})
	if got := siblings(); got != 3 {
		t.Errorf("%d siblings", got)
	}
	other := group(t, "127.0.0.1:0", 2)
	theirs := dups(t, other)
	n.seat.Share(8, theirs)
	n.seat.Share(7, []int{-1})
	if got := siblings(); got != 3 {
		t.Errorf("%d siblings, some of another group", got)
	}
	must(t, other.Close())
	address, err := ParseAddress(other.Address())
	must(t, err)
	again, err := Listen(address, once) // nobody else has kept it open
	must(t, err)
	must(t, again.Close())
	must(t, n.gate.Close())
	n.seat.Share(7, dups(t, l))
	must(t, l.Close())
	address, err = ParseAddress(l.Address())
	must(t, err)
	again, err = Listen(address, once)
	must(t, err)
	must(t, again.Close())
}
