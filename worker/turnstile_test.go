package worker

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTurn(t *testing.T) {
	t.Parallel()
	const us = time.Microsecond
	for _, c := range []struct {
		name          string
		pause, handle time.Duration // before each request, and for it
		requests      int
		over          int // how often its turn is over
	}{
		{"one after the other", 2 * us, 18 * us, 80, 10},
		{"very short ones", 2 * us, 3 * us, 84, 4}, // each 21st ends beyond 100 us
		{"a client that is not at once back", 51 * us, 18 * us, 80, 0},
		{"long requests, one after the other", 2 * us, time.Millisecond, 80, 10},
		{"long requests after a pause", time.Second, time.Millisecond, 80, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			now, over := time.Now(), 0
			var tr turn
			for range c.requests {
				now = now.Add(c.pause)
				tr.request(now)
				now = now.Add(c.handle)
				if tr.answered(now) {
					over++
				}
			}
			if over != c.over {
				t.Errorf("its turn was over %d times, not %d", over, c.over)
			}
		})
	}
}

// Those who come while one waits go with it, and do not wait one after the other.
func TestARoundIsShared(t *testing.T) {
	t.Parallel()
	round := make(chan struct{})
	s := &turnstile{round: round}
	const n = 10
	passed := make(chan struct{}, n)
	for range n {
		go func() {
			s.pass()
			passed <- struct{}{}
		}()
	}
	select {
	case <-passed:
		t.Fatal("one has not waited for the end of the round")
	default:
	}
	s.end(time.Now(), processTime())
	for range n {
		<-passed
	}
	if s.pipe != nil {
		t.Error("one has begun a round of its own")
	}
}

// Where rounds take long, because somebody computes, connections keep their thread as
// without a turnstile.
func TestNobodyPassesAfterALongRound(t *testing.T) {
	t.Parallel()
	s := &turnstile{round: make(chan struct{}), pipe: newWakePipe()}
	defer s.pipe.close()
	s.end(time.Now().Add(-time.Hour), processTime())
	if !s.open.IsZero() {
		t.Fatal("a process that had no processor has not computed")
	}
	s.round = make(chan struct{})
	s.end(time.Now().Add(-longRound-time.Millisecond), processTime()-2*longRound)
	if left := time.Until(s.open); left < restRounds*longRound/2 {
		t.Errorf("it is open again in %s", left)
	}
	s.open = time.Now().Add(time.Hour)
	s.pipe.close() // it would fail
	s.pass()
	if s.pipe == nil {
		t.Error("one has passed")
	}
}

// A pipe that the runtime cannot wait for is given up, and connections go on.
func TestTurnstileWithoutAPoller(t *testing.T) {
	t.Parallel()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil { // blocking, so not on the poller
		t.Fatal(err)
	}
	p := &wakePipe{read: os.NewFile(uintptr(fds[0]), "read"), write: os.NewFile(uintptr(fds[1]), "write")}
	var err error
	if p.raw, err = p.read.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	s := &turnstile{pipe: p}
	s.pass()
	if s.pipe != nil || time.Until(s.open) < remake/2 {
		t.Errorf("it has kept the pipe; open in %s", time.Until(s.open))
	}
}

func TestTurnstile(t *testing.T) {
	t.Parallel()
	c := spawn(t, start{helper: "turns"})
	c.awaitExit(t, 0)
}

// turnsHelper has one thread, which it does not let go of, and a goroutine that waits
// for bytes. These are there before it passes the turnstile.
func turnsHelper() int {
	runtime.GOMAXPROCS(1)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var served atomic.Int32
	go func() {
		f, b := os.NewFile(uintptr(fds[0]), "client"), make([]byte, 1)
		for {
			if _, err := f.Read(b); err != nil {
				return
			}
			served.Add(1)
		}
	}()
	const rounds = 100
	passed := count(fds[1], &served, rounds, new(turnstile).pass)
	yielded := count(fds[1], &served, rounds, runtime.Gosched)
	fmt.Fprintf(os.Stderr, "of %d: %d by the turnstile, %d by a yield\n", rounds, passed, yielded)
	if passed < rounds*9/10 || yielded > rounds/2 { // the runtime's own looks come in between, every 10 ms
		return 1
	}
	return 0
}

// count says how often in so many rounds the goroutine has read its byte when let
// returns.
func count(fd int, served *atomic.Int32, rounds int, let func()) (n int) {
	for range rounds {
		for before := served.Load(); ; {
			time.Sleep(time.Millisecond) // lets it wait
			if served.Load() == before {
				break
			}
			before = served.Load()
		}
		before := served.Load()
		_, _ = unix.Write(fd, []byte{0})
		let()
		if served.Load() > before {
			n++
		}
	}
	return n
}
