package worker

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// longTurn is how long a connection may carry one request after the other
	// before the others have their turn.
	longTurn = 100 * time.Microsecond
	// atOnce is how soon the next request of a connection comes that was there
	// already when the last was answered: its goroutine has not waited.
	atOnce = 10 * time.Microsecond
)

// turn tells a connection that keeps its thread to itself. Go asks the kernel whose
// bytes have arrived when no goroutine can run, and otherwise every 10 ms (sysmon). A
// client that is fast enough always has the next request ready, so that its
// goroutine never waits; with one thread, the other connections are served every
// 10 ms then, or for as many times 10 ms as there are such clients.
//
// The zero value is that of a new connection.
type turn struct {
	began  time.Time
	rested time.Time // when its last request was answered
}

// request is called when the first byte of a request is there.
func (t *turn) request(now time.Time) {
	if now.Sub(t.rested) > atOnce {
		t.began = now
	}
}

// answered is called when a request is answered, and says that it is the others'
// turn.
func (t *turn) answered(now time.Time) (over bool) {
	t.rested = now
	if now.Sub(t.began) <= longTurn {
		return false
	}
	t.began = now
	return true
}

// turnstile lets the goroutines run whose bytes have arrived by now. It does that by
// a pipe of its own: who waits for that has the runtime ask the kernel, which tells
// of all that is ready. Its zero value is ready to use; the pipe is made when the
// first one passes and stays open.
type turnstile struct {
	mu    sync.Mutex // guards all below; one passes at a time
	made  bool
	read  syscall.RawConn // nil: there is no pipe to be had
	write *os.File
	keep  *os.File // the end of read
}

// pass returns when all have had their turn that were ready when it was called.
func (s *turnstile) pass() {
	s.wait()
	// The runtime resumes the one whose event came last, this one, before the
	// others; these are at least in its queue now, and a yield goes behind them.
	runtime.Gosched()
}

func (s *turnstile) wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.made {
		s.made = true
		s.makeLocked()
	}
	if s.read == nil {
		return
	}
	var b [1]byte
	sent := false
	// An error is that of a closed pipe, and nobody closes it.
	_ = s.read.Read(func(fd uintptr) (done bool) {
		if !sent { // only what comes from here on wakes it
			sent = true
			_, err := s.write.Write(b[:])
			return err != nil
		}
		n, err := syscall.Read(int(fd), b[:])
		return n == 1 || err != syscall.EAGAIN && err != syscall.EINTR
	})
}

func (s *turnstile) makeLocked() {
	r, w, err := os.Pipe()
	if err != nil {
		return // want of descriptors: a yield alone is better than nothing
	}
	raw, err := r.SyscallConn()
	if err != nil {
		r.Close()
		w.Close()
		return
	}
	s.read, s.write, s.keep = raw, w, r
}
