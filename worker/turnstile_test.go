package worker

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestRoundsAreDue(t *testing.T) {
	t.Parallel()
	s, now := newTurnstile(), time.Minute
	s.looked.Store(int64(now))
	for _, c := range []struct {
		name    string
		pause   time.Duration // between answers
		answers int
		rounds  int
	}{
		{"busy", 100 * time.Microsecond, 100, 10},
		{"busier", 10 * time.Microsecond, 1000, 10},
		{"some answers a millisecond", 500 * time.Microsecond, 80, 10},
		{"few", 2 * time.Millisecond, 80, 0},
		{"one now and then", time.Second, 80, 0},
	} {
		s.answers.Store(0)
		s.looked.Store(int64(now))
		rounds := 0
		for range c.answers {
			now += c.pause
			if s.answers.Add(1) >= manyAnswers && s.due(now) {
				rounds++
			}
		}
		if rounds != c.rounds {
			t.Errorf("%s: %d rounds, not %d", c.name, rounds, c.rounds)
		}
	}
}

// Who answers a request during a round waits for its end.
func TestARoundIsShared(t *testing.T) {
	t.Parallel()
	round := make(chan struct{})
	s := newTurnstile()
	s.round.Store(&round)
	const n = 10
	passed := make(chan struct{}, n)
	for range n {
		go func() {
			s.answered()
			passed <- struct{}{}
		}()
	}
	select {
	case <-passed:
		t.Fatal("one has not waited for the end of the round")
	case <-time.After(20 * time.Millisecond): // one that fails to wait needs some time to do so
	}
	s.endLocked(round, 0, processTime())
	for range n {
		<-passed
	}
	if s.pipe != nil {
		t.Error("one has begun a round of its own")
	}
}

// Where rounds take long, because somebody computes, there are few, and connections keep
// their thread as without a turnstile.
func TestNoRoundAfterALongOne(t *testing.T) {
	t.Parallel()
	s := newTurnstile()
	s.base = s.base.Add(-time.Hour)
	s.pipe = newWakePipe()
	defer s.pipe.close()
	s.endLocked(make(chan struct{}), 0, processTime())
	if s.open != 0 {
		t.Fatal("a process that had no processor has not computed")
	}
	s.endLocked(make(chan struct{}), 0, processTime()-2*longRound)
	if left := s.open - time.Since(s.base); left < restRounds*longRound {
		t.Errorf("there may be one in %s", left)
	}
	s.open = 24 * time.Hour
	s.pipe.close() // a round would fail
	s.pass()
	if s.pipe == nil {
		t.Error("there was one")
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
	s := newTurnstile()
	s.pipe = p
	s.passLocked()
	if s.pipe != nil || s.open < remake/2 {
		t.Errorf("it has kept the pipe; there may be a round in %s", s.open)
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
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.SetNonblock(fds[0], true) // for the poller
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	served := make(chan struct{}, 1)
	go func() {
		f, b := os.NewFile(uintptr(fds[0]), "client"), make([]byte, 1)
		for {
			served <- struct{}{} // and at the first time that it is about to begin
			if _, err := f.Read(b); err != nil {
				return
			}
		}
	}()
	<-served
	const rounds = 100
	passed := count(fds[1], served, rounds, newTurnstile().passLocked)
	yielded := count(fds[1], served, rounds, runtime.Gosched)
	fmt.Fprintf(os.Stderr, "of %d: %d by the turnstile, %d by a yield\n", rounds, passed, yielded)
	if passed < rounds*9/10 || yielded > rounds/2 { // the runtime's own looks come in between, every 10 ms
		return 1
	}
	return 0
}

// count says how often in so many rounds the goroutine has read its byte when let
// returns. With one thread it has gone on to wait for the next one whenever this
// goroutine runs again.
func count(fd int, served <-chan struct{}, rounds int, let func()) (n int) {
	for range rounds {
		_, _ = unix.Write(fd, []byte{0})
		let()
		select {
		case <-served:
			n++
		default:
			<-served
		}
	}
	return n
}
