package handover

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// strays are the exits that somebody else in this process has waited for while
// there was a trial: process 1 waits for every child, and may be faster than the
// trial's own goroutine.
type strays struct {
	mu     sync.Mutex // guards all below
	trials int        // that run
	exits  map[int]unix.WaitStatus
	more   chan struct{} // closed at the next exit
}

var found strays

// Reaped takes the status of a child that the caller has waited for and does not
// know. It may be the trial's.
func Reaped(pid int, status unix.WaitStatus) { found.add(pid, status) }

// begin has exits kept until the function that it returns is called.
func (s *strays) begin() (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trials++; s.trials == 1 {
		s.exits, s.more = map[int]unix.WaitStatus{}, make(chan struct{})
	}
	return s.end
}

func (s *strays) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trials--; s.trials == 0 {
		s.exits = nil
	}
}

func (s *strays) add(pid int, status unix.WaitStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trials == 0 {
		return
	}
	s.exits[pid] = status
	close(s.more)
	s.more = make(chan struct{})
}

// take waits up to limit for the exit of pid: who has waited for it is about to
// say so.
func (s *strays) take(pid int, limit time.Duration) (unix.WaitStatus, bool) {
	late := time.After(limit)
	for {
		s.mu.Lock()
		status, known := s.exits[pid]
		more := s.more
		s.mu.Unlock()
		if known {
			return status, true
		}
		select {
		case <-more:
		case <-late:
			return 0, false
		}
	}
}
