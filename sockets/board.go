package sockets

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Board is a piece of memory that all workers of a server share: each has a seat
// there, on which it says how many connections it holds and for which listeners it
// is waiting. It is what the fair gate goes by, see [Seat].
//
// The master makes it, gives seats and takes them back when their workers leave or
// die. Workers can write anywhere in it, so nobody relies on it: the master reads
// nothing but the number by which a worker is called, and a worker that stands back
// because of what it reads looks for itself soon after.
type Board struct {
	memory []byte
	head   *boardHead
	seats  []boardSeat // number 0 is nobody's
	fd     int         // the master's, -1 in a worker
	free   []bool      // the master's: by seat
}

const (
	boardSeats = 2048 // as many as there can be workers and successors
	maxQueues  = 16   // listeners that it knows
)

type boardHead struct {
	used   atomic.Uint64            // seats from this number on have never been taken
	queues [maxQueues]atomic.Uint64 // inodes of the listeners' sockets, by which all processes know them
	_      [120]byte
}

// boardSeat is as large as what two neighbours on the processor fetch together, so
// that workers do not slow each other down.
type boardSeat struct {
	word  atomic.Uint64 // a notice; 0 = nobody sits there
	_     [56]byte
	taken [maxQueues]atomic.Uint32 // connections accepted, by listener
}

// notice is what a worker says of itself, in one number, so that it is read whole:
// from the lowest bit, which listeners it waits for (16 bits), by what number it is
// called (20), its load (27), and that it is there (1).
type notice uint64

const (
	bellShift        = maxQueues
	loadShift        = bellShift + 20
	bellMask         = 1<<20 - 1
	loadMask         = 1<<27 - 1
	here      notice = 1 << 63
)

func newNotice(waits uint64, bell uint32, load int64) notice {
	return here | notice(waits&(1<<maxQueues-1)) | notice(bell&bellMask)<<bellShift | notice(min(load, loadMask))<<loadShift
}

func (n notice) waits(queue int) bool { return n>>queue&1 == 1 }
func (n notice) bell() uint32         { return uint32(n>>bellShift) & bellMask }
func (n notice) load() int64          { return int64(n >> loadShift & loadMask) }

const boardSize = int(unsafe.Sizeof(boardHead{}) + boardSeats*unsafe.Sizeof(boardSeat{}))

// NewBoard makes an empty one, for a master.
func NewBoard() (*Board, error) {
	fd, err := sharedMemory(boardSize)
	if err != nil {
		return nil, fmt.Errorf("memory shared with workers: %w", err)
	}
	b, err := mapBoard(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	b.fd, b.free = fd, make([]bool, boardSeats)
	for i := range b.free {
		b.free[i] = i > 0
	}
	return b, nil
}

// openBoard is for a worker that was handed the descriptor, which stays its own.
func openBoard(fd int) (*Board, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("memory shared with the master: %w", err)
	}
	if st.Size != int64(boardSize) {
		return nil, fmt.Errorf("memory shared with the master has %d bytes, not %d: it is of another version", st.Size, boardSize)
	}
	return mapBoard(fd)
}

func mapBoard(fd int) (*Board, error) {
	memory, err := unix.Mmap(fd, 0, boardSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map memory shared with workers: %w", err)
	}
	head := (*boardHead)(unsafe.Pointer(&memory[0]))
	first := (*boardSeat)(unsafe.Add(unsafe.Pointer(head), unsafe.Sizeof(*head)))
	return &Board{memory: memory, head: head, seats: unsafe.Slice(first, boardSeats), fd: -1}, nil
}

// FD is the descriptor to hand to workers.
func (b *Board) FD() int { return b.fd }

// Close lets go of the memory. Workers that have it keep it.
func (b *Board) Close() error {
	err := unix.Munmap(b.memory)
	if b.fd >= 0 {
		err = errors.Join(err, unix.Close(b.fd))
	}
	return err
}

// Know says which listeners there are. Those that were known keep their places;
// more than there is room for are not known, and workers accept from them as from
// any listener.
func (b *Board) Know(list []*Listener) {
	want := map[uint64]bool{}
	for _, l := range list {
		if ino := l.inode(); ino != 0 {
			want[ino] = true
		}
	}
	for i := range b.head.queues {
		known := b.head.queues[i].Load()
		if known != 0 && !want[known] {
			b.head.queues[i].Store(0)
		}
		delete(want, known)
	}
	for ino := range want {
		for i := range b.head.queues {
			if b.head.queues[i].CompareAndSwap(0, ino) {
				break
			}
		}
	}
}

// queue is the place of a listener by its inode, -1 if it is not known.
func (b *Board) queue(inode uint64) int {
	for i := range b.head.queues {
		if inode != 0 && b.head.queues[i].Load() == inode {
			return i
		}
	}
	return -1
}

// Sit gives a free seat away; 0 if there is none.
func (b *Board) Sit() int {
	for i, free := range b.free {
		if free {
			b.free[i] = false
			b.seats[i].word.Store(0)
			b.head.used.Store(max(b.head.used.Load(), uint64(i)+1))
			return i
		}
	}
	return 0
}

// Clear has a worker count for nothing from now on: it is leaving. If it was one of
// the few that wait, those who stand back see that at their next look.
func (b *Board) Clear(seat int) {
	if seat > 0 && seat < boardSeats {
		b.seats[seat].word.Store(0)
	}
}

// Leave takes the seat of a worker that is gone.
func (b *Board) Leave(seat int) {
	b.Clear(seat)
	if seat > 0 && seat < boardSeats {
		b.free[seat] = true
	}
}

// all are the seats that may be taken. The number may be forged.
func (b *Board) all() []boardSeat { return b.seats[:min(b.head.used.Load(), boardSeats)] }

// taken is how many connections all workers have accepted from a listener; only
// the difference of two of these means something.
func (b *Board) taken(queue int) (sum uint32) {
	for i := range b.all() {
		sum += b.seats[i].taken[queue].Load()
	}
	return sum
}

// survey is what a seat sees of the others.
type survey struct {
	live    int
	waiting int   // others that wait for this listener
	mean    int64 // load, its own included
	poorest int   // the least loaded of those that stand back and can be called; 0 = none
}

// look goes over all seats, for the one at number me with the given load.
func (b *Board) look(me, queue int, mine int64) survey {
	s, sum := survey{live: 1}, mine
	least := mine
	for i := range b.all() {
		n := notice(b.seats[i].word.Load())
		if n == 0 || i == me {
			continue
		}
		s.live++
		sum += n.load()
		switch {
		case n.waits(queue):
			s.waiting++
		case n.load() < least && n.bell() != 0:
			least, s.poorest = n.load(), i
		}
	}
	s.mean = sum / int64(s.live)
	return s
}

// bellOf is the number by which the worker at a seat is called.
func (b *Board) bellOf(seat int) uint32 { return notice(b.seats[seat].word.Load()).bell() }
