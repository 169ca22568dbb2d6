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
		{"one after the other", 2 * us, 18 * us, 60, 10}, // each sixth ends beyond 100 us
		{"a client as fast as it may be and not at once", 11 * us, 18 * us, 60, 0},
		{"long requests", 2 * us, time.Millisecond, 5, 5},
		{"a long request after a pause", time.Second, time.Millisecond, 5, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
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
