package sockets

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestANoticeIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		waits uint64
		bell  uint32
		load  int64
	}{{0, 0, 0}, {1, 1, 1}, {1 << 15, bellMask, loadMask}, {0b1010, 0x12345, 7 * unit}} {
		n := newNotice(tc.waits, tc.bell, tc.load)
		for q := range maxQueues {
			if n.waits(q) != (tc.waits>>q&1 == 1) {
				t.Errorf("%+v: waits(%d) = %v", tc, q, n.waits(q))
			}
		}
		if n == 0 || n.bell() != tc.bell || n.load() != tc.load {
			t.Errorf("%+v became bell %d, load %d", tc, n.bell(), n.load())
		}
	}
	if got := newNotice(0, 0, loadMask+5).load(); got != loadMask {
		t.Errorf("a load that is too large became %d", got)
	}
}

func newTestBoard(t *testing.T) *Board {
	t.Helper()
	b, err := NewBoard()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestABoardGivesEachSeatOnce(t *testing.T) {
	t.Parallel()
	b := newTestBoard(t)
	seen := map[int]bool{}
	for n := b.Sit(); n != 0; n = b.Sit() {
		if seen[n] {
			t.Fatalf("seat %d was given twice", n)
		}
		seen[n] = true
	}
	if len(seen) != boardSeats-1 {
		t.Errorf("%d seats", len(seen))
	}
	b.seats[7].word.Store(uint64(newNotice(1, 1, 1)))
	b.Leave(7)
	if n := b.Sit(); n != 7 || b.seats[7].word.Load() != 0 {
		t.Errorf("seat %d is free after 7 was left; it says %x", n, b.seats[7].word.Load())
	}
	b.Leave(0)
	b.Leave(boardSeats) // no seats: nothing happens
	if n := b.Sit(); n != 0 {
		t.Errorf("seat %d of a full board", n)
	}
}

// Who has the memory can shrink it for nobody, and a forged count of seats leads
// nowhere.
func TestABoardCannotBeSpoiled(t *testing.T) {
	t.Parallel()
	b := newTestBoard(t)
	if err := unix.Ftruncate(b.FD(), 0); err == nil {
		t.Error("the memory could be taken away")
	}
	b.head.used.Store(1 << 60)
	if v := b.look(1, 0, 0); v.live != 1 {
		t.Errorf("%d live seats of none", v.live)
	}
}

func TestABoardOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := openBoard(int(f.Fd())); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("openBoard of an empty file: %v", err)
	}
	if err := NewSeat().Take(-1, 1); err == nil {
		t.Error("a seat at no descriptor")
	}
}

func TestABoardKnowsItsListeners(t *testing.T) {
	t.Parallel()
	b := newTestBoard(t)
	listen := func() *Listener {
		l, err := Listen(Address{Network: "tcp", Host: "127.0.0.1", Port: "0"}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	one, two := listen(), listen()
	b.Know([]*Listener{one, two})
	place := b.queue(two.inode())
	if place < 0 || b.queue(one.inode()) < 0 || place == b.queue(one.inode()) {
		t.Fatalf("places %d and %d", b.queue(one.inode()), place)
	}
	b.Know([]*Listener{two})
	if b.queue(one.inode()) != -1 || b.queue(two.inode()) != place {
		t.Errorf("places %d, want -1, and %d, want %d", b.queue(one.inode()), b.queue(two.inode()), place)
	}
	many := []*Listener{two}
	for range maxQueues + 3 {
		many = append(many, listen())
	}
	b.Know(many)
	known := 0
	for _, l := range many {
		if b.queue(l.inode()) >= 0 {
			known++
		}
	}
	if known != maxQueues || b.queue(two.inode()) != place {
		t.Errorf("%d are known, want %d; the one that was known is at %d", known, maxQueues, b.queue(two.inode()))
	}
}

func TestABellIsHeard(t *testing.T) {
	t.Parallel()
	mine, theirs := testBell(t), testBell(t)
	heard := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		mine.heard(func() { heard <- struct{}{} })
	}()
	theirs.ring(mine.number)
	within(t, "ring", heard)
	theirs.ring(0)       // nobody
	theirs.ring(0xfffff) // nobody, most likely: and no harm if there is
	mine.close()
	within(t, "end", ended)
	theirs.ring(mine.number)
	theirs.close()
}

func testBell(t *testing.T) *bell {
	t.Helper()
	b, err := newBell()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
