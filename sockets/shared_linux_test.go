package sockets

import (
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// team is a server of several workers, all in this process: each has a seat and a
// gate on the same socket.
type team struct {
	t       *testing.T
	master  *Listener
	board   *Board
	members []*member
	came    chan *member // one for each connection that was accepted
}

type member struct {
	team   *team
	seat   *Seat
	gate   *Gate
	number int

	mu    sync.Mutex
	conns []net.Conn
}

func newTeam(t *testing.T, n int, address Address) *team {
	t.Helper()
	l, err := Listen(address, Options{Owner: -1, Group: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	tm := &team{t: t, master: l, board: newTestBoard(t), came: make(chan *member, 1<<12)}
	tm.board.Know([]*Listener{l})
	for range n {
		tm.join()
	}
	return tm
}

var anyPort = Address{Network: "tcp", Host: "127.0.0.1", Port: "0"}

// join adds a worker that does not accept yet.
func (tm *team) join() *member {
	tm.t.Helper()
	m := &member{team: tm, seat: NewSeat(), number: tm.board.Sit()}
	fd, err := unix.FcntlInt(uintptr(tm.master.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		tm.t.Fatal(err)
	}
	ln, err := m.seat.Listen(fd)
	if err != nil {
		tm.t.Fatal(err)
	}
	m.gate = NewGate(ln)
	if err := m.seat.Take(tm.board.FD(), m.number); err != nil {
		tm.t.Fatal(err)
	}
	tm.t.Cleanup(m.leave)
	tm.members = append(tm.members, m)
	return m
}

// work accepts and keeps what comes, until the gate is closed.
func (m *member) work() {
	ln := m.gate.Counting()
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		m.conns = append(m.conns, c)
		m.mu.Unlock()
		m.team.came <- m
	}
}

func (tm *team) work() {
	for _, m := range tm.members {
		go m.work()
	}
}

func (m *member) leave() {
	m.seat.Rise()
	m.gate.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		c.Close()
	}
	m.conns = nil
}

func (m *member) holds() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.conns)
}

func (tm *team) dial(n int) {
	tm.t.Helper()
	for range n {
		c, err := net.Dial(tm.master.network, tm.members[0].gate.Addr().String())
		if err != nil {
			tm.t.Fatal(err)
		}
		tm.t.Cleanup(func() { c.Close() })
	}
}

func (tm *team) await(n int) {
	tm.t.Helper()
	for i := range n {
		select {
		case <-tm.came:
		case <-time.After(gateLimit):
			tm.t.Fatalf("connection %d of %d is not accepted within %v", i+1, n, gateLimit)
		}
	}
}

// Connections that stay are spread, whether they come at once or one by one. What the
// processor gives to whom is not ours to say, so the bound is wide: without the board
// one worker has all of them.
func TestConnectionsAreShared(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]Address{"tcp": anyPort, "unix": {Network: "unix", Path: filepath.Join(t.TempDir(), "s")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n, each = 4, 30
			tm := newTeam(t, n, address)
			tm.work()
			for range n * each {
				tm.dial(1)
				tm.await(1)
			}
			for i, m := range tm.members {
				if got := m.holds(); got > 2*each {
					t.Errorf("worker %d holds %d, the mean is %d", i+1, got, each)
				}
			}
		})
	}
}

// Of many workers only a few wait for connections, and all that come are accepted.
func TestFewWait(t *testing.T) {
	t.Parallel()
	n := 3 * few
	tm := newTeam(t, n, anyPort)
	tm.work()
	waiting := func() int { return tm.board.look(0, 0, 0).waiting }
	eventually(t, "few wait", func() bool { return waiting() <= few })
	tm.dial(4 * n)
	tm.await(4 * n)
}

// A worker that says it waits, and does not: stopped, or busy.
func TestABusyWorkerIsHelped(t *testing.T) {
	t.Parallel()
	tm := newTeam(t, few+2, anyPort)
	for _, m := range tm.members[:few] { // these never accept
		m.seat.wait(m.gate.ln.(*shared), tm.board.queue(tm.master.inode()), true)
	}
	for _, m := range tm.members[few:] {
		go m.work()
	}
	tm.dial(100)
	tm.await(100)
}

// Whatever the board says, connections are accepted.
func TestAForgedBoardStopsNobody(t *testing.T) {
	t.Parallel()
	for name, word := range map[string]notice{
		"many wait, none of whom exists":           newNotice(1<<maxQueues-1, 0xfffff, 0),
		"others hold nothing":                      newNotice(0, 0xfffff, 0),
		"others hold nothing and cannot be called": newNotice(0, 0, 0),
		"nonsense": notice(^uint64(0)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tm := newTeam(t, 1, anyPort)
			for range 20 {
				tm.board.seats[tm.board.Sit()].word.Store(uint64(word))
			}
			tm.work()
			tm.dial(50)
			tm.await(50)
		})
	}
}

// A dead worker's notice is taken away by the master; those who stood back because of
// it return.
func TestTheDeadDoNotCount(t *testing.T) {
	t.Parallel()
	tm := newTeam(t, 1, anyPort)
	dead := make([]int, few)
	for i := range dead {
		dead[i] = tm.board.Sit()
		tm.board.seats[dead[i]].word.Store(uint64(newNotice(1, 0, 0)))
	}
	tm.work()
	me := tm.members[0].number
	waits := func() bool { return notice(tm.board.seats[me].word.Load()).waits(0) }
	eventually(t, "it stands back", func() bool { return !waits() })
	for _, n := range dead {
		tm.board.Leave(n)
	}
	eventually(t, "it returns", waits)
}

// A worker that leaves takes what is queued first, though it stood back.
func TestWhoLeavesTakesItsTurn(t *testing.T) {
	t.Parallel()
	tm := newTeam(t, 1, anyPort)
	for range few {
		tm.board.seats[tm.board.Sit()].word.Store(uint64(newNotice(1, 0, 0)))
	}
	m := tm.members[0]
	go m.work()
	eventually(t, "it stands back", func() bool { return !notice(tm.board.seats[m.number].word.Load()).waits(0) })
	tm.dial(20)
	m.seat.Rise()
	within(t, "shut", shutIn(m.gate, closed))
	tm.await(20)
	within(t, "parked", m.gate.Parked())
	if n := notice(tm.board.seats[m.number].word.Load()); n != 0 {
		t.Errorf("it still says %x", n)
	}
}

// Accept ends with Close, whether it waits for a connection or stands back.
func TestCloseEndsAccept(t *testing.T) {
	t.Parallel()
	for _, others := range []int{0, few} {
		tm := newTeam(t, 1, anyPort)
		for range others {
			tm.board.seats[tm.board.Sit()].word.Store(uint64(newNotice(1, 0, 0)))
		}
		m := tm.members[0]
		got := acceptIn(m.gate.ln)
		eventually(t, "it has decided", func() bool {
			return notice(tm.board.seats[m.number].word.Load()).waits(0) == (others == 0)
		})
		m.gate.ln.Close()
		if a := within(t, "return", got); !errors.Is(a.err, net.ErrClosed) {
			t.Errorf("Accept = %v, want net.ErrClosed", a.err)
		}
		if err := m.gate.ln.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
	}
}

// Standing back and returning leaves no descriptor and no blocking socket behind.
func TestStandingBackLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	tm := newTeam(t, 2, anyPort)
	tm.work()
	for range 50 {
		tm.dial(1)
		tm.await(1)
	}
	if ok, err := Nonblocking(tm.master.FD()); err != nil || !ok {
		t.Errorf("the shared socket is blocking (%v)", err)
	}
	for _, m := range tm.members {
		m.leave()
	}
	addr := tm.members[0].gate.Addr().String()
	if err := tm.master.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody listens", func() bool { // a fork of another test has copies until its exec
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// A board may come when there is one already: the master has executed another image
// of itself.
func TestABoardReplacesAnother(t *testing.T) {
	t.Parallel()
	tm := newTeam(t, 2, anyPort)
	tm.work()
	second := newTestBoard(t)
	second.Know([]*Listener{tm.master})
	for _, m := range tm.members {
		if err := m.seat.Take(second.FD(), second.Sit()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both wait there", func() bool { return second.look(0, 0, 0).waiting == 2 })
	tm.dial(10)
	tm.await(10)
}

func TestOnlyAListenerIsListenedOn(t *testing.T) {
	t.Parallel()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	if _, err := NewSeat().Listen(p[0]); err == nil {
		t.Error("a pipe was taken for a listener")
	}
}
