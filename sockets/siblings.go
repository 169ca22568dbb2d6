package sockets

import (
	"math/rand/v2"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Each worker accepts from its own socket of a group. What the kernel has put into
// the queue of another would wait for ever if its worker is stopped, is gone, or has
// never been, so neighbours help: each goes its rounds and looks at the queues of the
// others. Nothing is accepted but in a call of Accept, which is told what to take: a
// connection always has somebody who is responsible for it. That two take from one
// queue is no harm.
const (
	// quietRounds is how much rarer a worker looks while nothing happens.
	quietRounds = 8
	// enough is how often a socket may need help before a neighbour stays with it, to
	// take what comes at once, for fosterTime. Then it looks anew whether anybody else
	// serves it.
	enough     = 3
	fosterTime = time.Second
)

// sibling is another socket of the group. It is guarded by the lock of the listener.
type sibling struct {
	fd     int
	inode  uint64
	helped int           // how often it needed help, without a sign of life of its own worker
	take   int           // connections that Accept is to take from it
	taken  chan struct{} // closed when take has become 0; nil if nobody asks
	failed bool          // nothing could be taken, for want of descriptors say
	foster *os.File      // a duplicate, on which it is waited for connections; nil: it is on the rounds
}

// Share takes over descriptors of the sockets of a group that a listener of this
// process belongs to, its own among them when they come for the first time; later ones
// are added. They are told by the number of the group. Those of a group that this
// process has no part in are closed.
func (s *Seat) Share(group uint64, fds []int) {
	list := make([]*sibling, 0, len(fds))
	for _, fd := range fds {
		if ino := inodeOfFD(fd); ino != 0 {
			list = append(list, &sibling{fd: fd, inode: ino})
		} else {
			unix.Close(fd)
		}
	}
	if l := s.member(group, list); l != nil {
		l.join(list)
		return
	}
	for _, b := range list {
		unix.Close(b.fd)
	}
}

// member finds the listener of a group.
func (s *Seat) member(group uint64, list []*sibling) *shared {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.shared {
		if l.group == group {
			return l
		}
		for _, b := range list {
			if l.group == 0 && b.inode == l.inode {
				l.group = group
				return l
			}
		}
	}
	return nil
}

// join adds the sockets that are new, and begins the rounds.
func (l *shared) join(list []*sibling) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := len(l.siblings) == 0
	for _, b := range list {
		if l.closed || b.inode == l.inode || l.siblingLocked(b.inode) != nil || checkListening(b.fd) != nil {
			unix.Close(b.fd)
			continue
		}
		l.siblings = append(l.siblings, b)
	}
	if first && len(l.siblings) > 0 {
		go l.rounds() // ends with Close
	}
}

func (l *shared) siblingLocked(inode uint64) *sibling {
	for _, b := range l.siblings {
		if b.inode == inode {
			return b
		}
	}
	return nil
}

// rounds looks after the siblings until the listener is closed. All workers together
// look about every lookTogether while connections come, and each a little later than
// the last time while none do.
func (l *shared) rounds() {
	look, before := lookSoonest, uint64(0)
	for l.rest(look/2 + rand.N(look)) {
		waiting, usual, count := l.visit(false)
		if len(waiting) == 0 {
			if look = min(2*look, quietRounds*usual); count != before {
				look, before = usual, count
			}
			continue
		}
		look = usual
		if !l.rest(moment) {
			return
		}
		l.help(waiting)
	}
}

// rest is false when the listener has been closed.
func (l *shared) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.ended:
		return false
	case <-timer.C:
		return true
	}
}

// visit returns how many connections wait at which siblings, none for most; how often
// one of so many workers is to look; and how many connections this one has accepted.
// Those that it stays with are looked after unless all are asked for.
func (l *shared) visit(all bool) (waiting map[*sibling]int, usual time.Duration, count uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	usual = min(lookLatest, max(lookSoonest, lookTogether*time.Duration(1+len(l.siblings))))
	if l.closed {
		return nil, usual, l.count
	}
	polled := make([]unix.PollFd, len(l.siblings))
	for i, b := range l.siblings {
		polled[i] = unix.PollFd{Fd: int32(b.fd), Events: unix.POLLIN}
		if b.foster != nil && !all {
			polled[i].Fd = -1
		}
	}
	if n, err := unix.Poll(polled, 0); err != nil || n == 0 {
		return nil, usual, l.count
	}
	waiting = map[*sibling]int{}
	for i, p := range polled {
		if p.Revents&unix.POLLIN != 0 {
			waiting[l.siblings[i]] = lengthOf(l.siblings[i].fd)
		}
	}
	return waiting, usual, l.count
}

// lengthOf is how many connections wait at a socket that has some.
func lengthOf(fd int) int {
	n, _, err := queueOf(fd)
	if err != nil {
		return unknownQueue
	}
	return max(1, n)
}

// help has Accept take what has not moved since visit, or those who have accepted in
// the meantime could have taken.
func (l *shared) help(waiting map[*sibling]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for b, n := range waiting {
		switch {
		case l.closed:
			return
		case !hasQueueFD(b.fd):
			b.helped = 0
			continue
		}
		l.sendLocked(b, min(n, lengthOf(b.fd)))
		if b.helped++; b.helped >= enough && b.foster == nil {
			l.fosterLocked(b)
		}
	}
}

// sendLocked has Accept take n connections from a sibling, or as many as it was sent for
// before if these are more: that was another's count, and may be the last one.
func (l *shared) sendLocked(b *sibling, n int) {
	if b.take == 0 {
		l.errands++
	}
	b.take, b.failed = max(b.take, n), false
	l.wakeLocked()
}

// runErrandLocked takes one connection that Accept was sent for, nil if there is none
// or if it is the turn of the process's own queue: neither must starve the other.
func (l *shared) runErrandLocked() net.Conn {
	if l.errands == 0 || l.closed {
		return nil
	}
	if l.helpedLast = !l.helpedLast; !l.helpedLast && l.ln != nil && hasQueueFD(l.fd) {
		l.until = time.Now().Add(time.Millisecond) // if somebody else takes it, the errand waits no longer
		setDeadline(l.ln, l.until)
		return nil
	}
	for _, b := range l.siblings {
		if b.take == 0 {
			continue
		}
		c, err := acceptFrom(b.fd)
		if err != nil {
			// Somebody else has taken them, or there is want of descriptors or memory.
			b.failed = err != unix.EAGAIN
			l.doneLocked(b)
			continue
		}
		if b.take--; b.take == 0 {
			l.doneLocked(b)
		}
		return c
	}
	return nil
}

func (l *shared) doneLocked(b *sibling) {
	b.take = 0
	l.errands--
	if b.taken != nil {
		close(b.taken)
		b.taken = nil
	}
}

// farewell is the last round of a worker that leaves. It may be the last that has these
// sockets: a reload may have taken the address away, and closed them in the master.
func (l *shared) farewell() {
	if waiting, _, _ := l.visit(true); len(waiting) > 0 && l.rest(moment) {
		l.help(waiting)
	}
}

// gather reports whether something waits that nobody but this process may ever take:
// what Accept was sent for, and if it is one of the last, what waits at any socket of
// the group, which it has Accept take.
func (l *shared) gather(last bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	for _, b := range l.siblings {
		if last && b.take == 0 && hasQueueFD(b.fd) {
			l.sendLocked(b, lengthOf(b.fd))
		}
	}
	return l.errands > 0
}

// waitingElsewhere is how many connections wait at the siblings.
func (l *shared) waitingElsewhere() (sum int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.siblings {
		if !l.closed {
			n, _, _ := queueOf(b.fd) // never fails for TCP on Linux, and there are no others
			sum += n
		}
	}
	return sum
}

// leaveLocked lets go of the siblings. Who waits for Accept sees that it has ended.
func (l *shared) leaveLocked() {
	for _, b := range l.siblings {
		unix.Close(b.fd)
		if b.foster != nil {
			b.foster.Close() // wakes who waits there
		}
	}
}

func inodeOfFD(fd int) uint64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Ino
}
