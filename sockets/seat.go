package sockets

import (
	"net"
	"slices"
	"sync"
	"time"
)

// Seat is the place of this process among those that accept from the same sockets.
// It counts the connections, and once the master has handed it a [Board] its
// listeners are accepted from in a fair way, see [Seat.Listen]. Without a board
// they are accepted from like any other.
type Seat struct {
	base time.Time

	mu     sync.Mutex // guards all below
	crowd  crowd
	board  *Board // nil without one, or once the process is leaving
	number int
	bell   *bell // nil without one
	risen  bool
	shared []*shared
}

// NewSeat returns a seat at no board.
func NewSeat() *Seat { return &Seat{base: time.Now(), crowd: newCrowd()} }

// Take has the seat of that number at the board whose descriptor is fd, which the
// caller closes. A board that was there before is forgotten.
func (s *Seat) Take(fd, number int) error {
	board, err := openBoard(fd)
	if err != nil {
		return err
	}
	if number <= 0 || number >= boardSeats {
		return board.Close()
	}
	if !s.take(board, number) {
		return board.Close()
	}
	s.tell()
	return nil
}

func (s *Seat) take(board *Board, number int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.risen {
		return false
	}
	// The memory of one that was there before stays mapped: a survey may be reading it.
	s.board, s.number = board, number
	if s.bell == nil {
		s.bell, _ = newBell() // without one nobody calls, and it looks by itself
		if s.bell != nil {
			go s.bell.heard(s.rouse) // ends with Rise
		}
	}
	s.publishLocked()
	return true
}

// tell has all listeners ask what has changed, so the lock is not held.
func (s *Seat) tell() {
	s.mu.Lock()
	list := slices.Clone(s.shared)
	s.mu.Unlock()
	for _, l := range list {
		l.learn()
	}
}

// place is where the listener with that inode stands on the board, nil without one.
func (s *Seat) place(inode uint64) *place {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.board == nil {
		return nil
	}
	if queue := s.board.queue(inode); queue >= 0 {
		return &place{s.board, s.number, queue}
	}
	return nil
}

// Rise gives the seat up: the process takes what comes, and what it holds counts for
// nobody. It is for a process that leaves.
func (s *Seat) Rise() {
	if s.rise() {
		s.tell()
	}
}

func (s *Seat) rise() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.risen {
		return false
	}
	s.risen = true
	if s.board != nil {
		s.board.Clear(s.number)
		s.board = nil
	}
	if s.bell != nil {
		s.bell.close()
		s.bell = nil
	}
	return true
}

// Enter counts a connection that has been accepted; g is told when it rests and
// when it leaves.
func (s *Seat) Enter(g *Guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.seat = s
	s.crowd.enter(g, s.now())
	s.publishLocked()
}

// Rest says that the connection has carried a request and is kept.
func (g *Guest) Rest() {
	if g.seat == nil || g.stay.Load() != fresh {
		return
	}
	g.seat.mu.Lock()
	defer g.seat.mu.Unlock()
	g.seat.crowd.rest(g)
	g.seat.publishLocked()
}

// Leave says that the connection is closed.
func (g *Guest) Leave() {
	if g.seat == nil {
		return
	}
	g.seat.mu.Lock()
	defer g.seat.mu.Unlock()
	g.seat.crowd.leave(g, g.seat.now())
	g.seat.publishLocked()
}

func (s *Seat) now() int64 { return int64(time.Since(s.base)) }

// publishLocked says on the board what is.
func (s *Seat) publishLocked() {
	if s.board == nil {
		return
	}
	number, waits := uint32(0), uint64(0)
	if s.bell != nil {
		number = s.bell.number
	}
	for _, l := range s.shared {
		if l.waits {
			waits |= 1 << l.place
		}
	}
	s.board.seats[s.number].word.Store(uint64(newNotice(waits, number, s.crowd.load())))
}

// wait says on the board whether this process waits at a listener that has that place
// there.
func (s *Seat) wait(l *shared, place int, waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.waits != waits || l.place != place {
		l.waits, l.place = waits, place
		s.publishLocked()
	}
}

// load is what this process holds.
func (s *Seat) load() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.crowd.load()
}

// call rings for the worker at a seat, false if that cannot be done.
func (s *Seat) call(board *Board, seat int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bell == nil {
		return false
	}
	s.bell.ring(board.bellOf(seat))
	return true
}

// rouse has all listeners look whose turn it is.
func (s *Seat) rouse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.shared {
		l.called()
	}
}

// Listen takes over the descriptor of a listening socket that other processes
// accept from as well, and closes it.
//
// Left to themselves, all processes are woken for each connection, and the one that
// is fastest, or has just run, takes it, or all of them. With a board only a few
// wait for connections at a time; a process that holds more than its share stands
// back and lets others take their turn; a process that stands back returns when it
// is called, and when connections wait longer than a moment.
func (s *Seat) Listen(fd int) (net.Listener, error) {
	l, err := newShared(s, fd)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.shared = append(s.shared, l)
	s.mu.Unlock()
	l.learn()
	return l, nil
}
