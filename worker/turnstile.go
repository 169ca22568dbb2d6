package worker

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// betweenRounds is the least time between two rounds. A process that has answered
	// fewer than manyAnswers since the last one, or took longer than seldom for them,
	// needs none.
	betweenRounds = time.Millisecond
	manyAnswers   = 8
	seldom        = 10 * time.Millisecond
	// longRound is how long a round takes at most, in processor time, if nobody computes
	// for long. After a longer one there is none for restRounds times as long: beside a
	// goroutine that computes, each round costs 10 ms and more.
	longRound  = 5 * time.Millisecond
	restRounds = 10
	// remake is the time until a pipe is asked for again that was not to be had.
	remake = time.Second
)

// turnstile has busy connections give way to those whose requests have arrived.
//
// Go asks the kernel whose bytes have arrived when no goroutine can run, and otherwise
// every 10 ms (sysmon). A client that is fast enough has its next request there before
// that. And the thread that has asked, and knows of 30 connections by now, may lose its
// processor to another one of the same process, which goes on with a single
// connection; the kernel prefers who runs briefly and often. Either way one connection
// is served for 10 to 100 ms, and the others wait.
//
// So every now and then there is a round: each connection that has answered a request
// waits, until nobody is left who could run and the runtime asks the kernel. It
// tells of all that is ready, and of a pipe on which the first of them waits.
type turnstile struct {
	base    time.Time
	answers atomic.Int64                  // since the last look
	looked  atomic.Int64                  // when it was looked last whether there is to be a round, since base
	round   atomic.Pointer[chan struct{}] // closed at the end of the round that is under way; nil if none is

	mu   sync.Mutex    // guards all below
	open time.Duration // since base; until then there is no round
	pipe *wakePipe     // nil if there is none yet
}

func newTurnstile() *turnstile { return &turnstile{base: time.Now()} }

// answered is called by each connection that has answered a request, and returns when it
// may go on: at once, or when those who were ready can run before it.
func (s *turnstile) answered() {
	if round := s.round.Load(); round != nil {
		<-*round
	} else if s.answers.Add(1) >= manyAnswers && s.due(time.Since(s.base)) {
		s.pass()
	}
}

// due says that the caller is to make a round.
func (s *turnstile) due(now time.Duration) bool {
	last := s.looked.Load()
	passed := now - time.Duration(last)
	if passed < betweenRounds || !s.looked.CompareAndSwap(last, int64(now)) {
		return false
	}
	s.answers.Store(0)
	return passed < seldom
}

func (s *turnstile) pass() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.base) >= s.open {
		s.passLocked()
	}
}

// passLocked makes a round.
func (s *turnstile) passLocked() {
	round := make(chan struct{})
	s.round.Store(&round)
	began := time.Since(s.base)
	defer s.endLocked(round, began, processTime())
	if s.pipe == nil {
		s.pipe = newWakePipe()
	}
	if s.pipe != nil && s.pipe.wait() != nil {
		s.pipe.close()
		s.pipe = nil
	}
	// The runtime resumes the one whose event came last, this one, before the
	// others; these are at least in its queue now, and a yield goes behind them.
	runtime.Gosched()
}

// endLocked ends a round. A process that waits for a processor does not compute: what
// counts is the lesser of the time that has passed and what the process has used of it.
func (s *turnstile) endLocked(round chan struct{}, began, used time.Duration) {
	now, total := time.Since(s.base), processTime()
	s.round.Store(nil)
	close(round)
	if took := min(now-began, total-used); took > longRound {
		s.open = now + restRounds*took
	}
	if s.pipe == nil { // none is to be had, so a round is a yield
		s.open = now + remake
	}
	s.looked.Store(int64(now))
}

// processTime is the processor time that this process has used, all threads together.
func processTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// wakePipe is a pipe to oneself.
type wakePipe struct {
	read, write *os.File
	raw         syscall.RawConn // of read
}

// newWakePipe returns nil if none is to be had.
func newWakePipe() *wakePipe {
	r, w, err := os.Pipe()
	if err != nil {
		return nil
	}
	p := &wakePipe{read: r, write: w}
	if p.raw, err = r.SyscallConn(); err != nil {
		p.close()
		return nil
	}
	return p
}

// wait returns when the runtime has learned from the kernel that the pipe has a byte.
// An error says that it cannot: the pipe is not on its poller.
func (p *wakePipe) wait() error {
	var b [1]byte
	sent := false
	var failed error
	err := p.raw.Read(func(fd uintptr) (done bool) {
		if !sent { // only what comes from here on wakes it
			sent = true
			_, failed = p.write.Write(b[:])
			return failed != nil
		}
		n, err := readByte(int(fd), b[:])
		if n != 1 && err != syscall.EAGAIN {
			failed = err
		}
		return err != syscall.EAGAIN
	})
	if err == nil {
		err = failed
	}
	return err
}

func readByte(fd int, b []byte) (n int, err error) {
	for {
		if n, err = syscall.Read(fd, b); err != syscall.EINTR {
			return n, err
		}
	}
}

func (p *wakePipe) close() {
	p.read.Close()
	p.write.Close()
}
