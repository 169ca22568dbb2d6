package worker

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// longTurn is how long a connection may carry one request after the other, and
	// longRun how many, before the others have their turn.
	longTurn = 100 * time.Microsecond
	longRun  = 8
	// atOnce is how soon the next request of a connection has been read that was there
	// already when the last was answered: its goroutine has not waited for it. Of one
	// that has waited for so short a time nothing worse is to be feared than a pass too
	// many.
	atOnce = 50 * time.Microsecond
	// longRound is how long a round of all others takes at most, in processor time, if
	// none of them computes for long. After a longer one nobody passes for restRounds
	// times as long: beside a goroutine that computes, each round costs 10 ms and more.
	longRound  = 5 * time.Millisecond
	restRounds = 10
	// remake is the time until a pipe is asked for again that was not to be had.
	remake = time.Second
)

// turn tells a connection that keeps its thread to itself. Go asks the kernel whose
// bytes have arrived when no goroutine can run, and otherwise every 10 ms (sysmon). A
// client that is fast enough always has the next request ready, so that its
// goroutine never waits for it; with one thread, the other connections are served
// every 10 ms then, or for as many times 10 ms as there are such clients.
//
// The zero value is that of a new connection.
type turn struct {
	began    time.Time
	rested   time.Time // when its last request was answered
	requests int       // since began
}

// request is called when a request has been read.
func (t *turn) request(now time.Time) {
	if now.Sub(t.rested) > atOnce {
		t.began, t.requests = now, 0
	}
}

// answered is called when a request is answered, and says that it is the others'
// turn.
func (t *turn) answered(now time.Time) (over bool) {
	t.rested = now
	if t.requests++; t.requests < longRun || now.Sub(t.began) <= longTurn {
		return false
	}
	t.began, t.requests = now, 0
	return true
}

// turnstile lets the goroutines run whose bytes have arrived by now. It does that by
// a pipe of its own: who waits for that has the runtime ask the kernel, which tells
// of all that is ready. Those who come while one waits already share its round.
//
// Its zero value is ready to use; the pipe is made when the first one passes, and
// stays open.
type turnstile struct {
	mu    sync.Mutex    // guards all below
	round chan struct{} // closed at the end of the round that is under way; nil if none is
	open  time.Time     // until then nobody passes
	pipe  *wakePipe     // nil if there is none yet; used by who began the round alone
}

// pass returns when those that were ready when it was called can run before this
// goroutine does; at once if rounds take too long.
func (s *turnstile) pass() {
	now := time.Now()
	s.mu.Lock()
	if now.Before(s.open) {
		s.mu.Unlock()
		return
	}
	if round := s.round; round != nil {
		s.mu.Unlock()
		<-round
		return
	}
	s.round = make(chan struct{})
	s.mu.Unlock()
	defer s.end(now, processTime())
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

// end of a round. A process that waits for a processor does not compute: what counts
// is the lesser of the time that has passed and what the process has used of it.
func (s *turnstile) end(began time.Time, used time.Duration) {
	now := time.Now()
	took := min(now.Sub(began), processTime()-used)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.round)
	s.round = nil
	if took > longRound {
		s.open = now.Add(restRounds * took)
	}
	if s.pipe == nil { // none is to be had, so a pass is a yield
		s.open = now.Add(remake)
	}
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
