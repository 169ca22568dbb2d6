package httpwatch

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The 504 is with the client soon after the limit: half of them within 20 ms of
// a plain timer of the same length that is started beside the handler.
func TestAnswerIsOnTime(t *testing.T) {
	t.Parallel()
	const limit = 250 * time.Millisecond
	var timers [10]chan time.Time // of each client
	for i := range timers {
		timers[i] = make(chan time.Time, 1)
	}
	s := newSite(t, Options{Timeout: limit}, func(w http.ResponseWriter, r *http.Request) {
		timer := timers[r.URL.Path[1]-'0']
		time.AfterFunc(limit, func() { timer <- time.Now() })
		<-r.Context().Done()
	})
	late := make(chan time.Duration, 50)
	var clients sync.WaitGroup
	for i, timer := range timers {
		clients.Go(func() {
			for range 5 {
				began := time.Now()
				all, err := io.ReadAll(s.dial(t, fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)))
				now := time.Now()
				if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 504 ") || now.Sub(began) < limit {
					t.Errorf("%q, %v, after %s", all, err, now.Sub(began))
				}
				late <- now.Sub(wait(t, "timer", timer))
			}
		})
	}
	clients.Wait()
	close(late)
	var all []time.Duration
	for d := range late {
		all = append(all, d)
	}
	slices.Sort(all)
	median := all[len(all)/2]
	if median > 20*time.Millisecond {
		t.Errorf("the median comes %s after a timer", median)
	}
	t.Logf("after a timer: %s at best, %s median, %s at worst", all[0], median, all[len(all)-1])
}

// blocked are ways to be stuck, until release is closed.
var blocked = map[string]func(release <-chan struct{}){
	"inAChannel":    inAChannel,
	"inAMutex":      inAMutex,
	"asleep":        asleep,
	"inASocket":     inASocket,
	"inARecursion":  func(release <-chan struct{}) { inARecursion(release, 1000) },
	"waitForHelper": waitForHelper,
}

func inAChannel(release <-chan struct{}) { <-release }

func inAMutex(release <-chan struct{}) {
	var mu sync.Mutex
	mu.Lock()
	go func() { <-release; mu.Unlock() }()
	mu.Lock()
}

func asleep(release <-chan struct{}) {
	for {
		select {
		case <-release:
			return
		default:
			time.Sleep(time.Second)
		}
	}
}

func inASocket(release <-chan struct{}) {
	ours, theirs := net.Pipe()
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		defer ln.Close()
		ours, _ = net.Dial("tcp", ln.Addr().String())
		theirs, _ = ln.Accept()
	}
	go func() { <-release; theirs.Close() }()
	ours.Read(make([]byte, 1))
	ours.Close()
}

//go:noinline
func inARecursion(release <-chan struct{}, depth int) int {
	if depth == 0 {
		deepestOfAll(release)
		return 0
	}
	return inARecursion(release, depth-1) + 1
}

//go:noinline
func deepestOfAll(release <-chan struct{}) { <-release }

func waitForHelper(release <-chan struct{}) {
	var helper sync.WaitGroup
	helper.Go(func() { theHelper(release) })
	helper.Wait()
}

//go:noinline
func theHelper(release <-chan struct{}) { <-release }

func TestStackNamesWhatBlocks(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newSite(t, Options{Timeout: 400 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		blocked[r.URL.Path[1:]](release)
	})
	for name := range blocked {
		s.dial(t, "GET /"+name+" HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	expect := map[string][]string{"waitForHelper": {"theHelper"}, "inARecursion": {"deepestOfAll"}, "inASocket": {"net.(*conn).Read"},
		"inAMutex": {"sync.(*Mutex).Lock"}, "asleep": {"time.Sleep"}}
	for range blocked {
		in := wait(t, "incident", s.overdue)
		name := in.Path[1:]
		for _, want := range append(expect[name], name) {
			if !strings.Contains(in.Stack, want) {
				t.Errorf("%s: the stack does not name %s:\n%.2000s", name, want, in.Stack)
			}
		}
		if len(in.Stack) > maxStack+100 {
			t.Errorf("%s: a stack of %d bytes", name, len(in.Stack))
		}
	}
	close(release)
}

// One goroutine that never gives way, on the only processor.
func TestSpinningHandlerIsAnswered(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSpinningHelper$")
	cmd.Env = append(os.Environ(), "HTTPWATCH_SPIN=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := bufio.NewReader(out)
	addr, _ := lines.ReadString('\n')
	conn, err := net.Dial("tcp", strings.TrimSpace(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limitFor))
	io.WriteString(conn, get("GET"))
	if all, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 504 ") {
		t.Errorf("%q, %v", all, err)
	}
	if frame, err := lines.ReadString('\n'); err != nil || !strings.Contains(frame, "spin") {
		t.Errorf("the top of the stack is %q, %v", frame, err)
	}
}

func spin() {
	//lint:ignore SA5002 that is the point
	for {
	}
}

// TestSpinningHelper is the other process of the test above.
func TestSpinningHelper(t *testing.T) {
	if os.Getenv("HTTPWATCH_SPIN") == "" {
		t.SkipNow()
	}
	runtime.GOMAXPROCS(1)
	s := newSite(t, Options{Timeout: 100 * time.Millisecond}, func(http.ResponseWriter, *http.Request) { spin() })
	os.Stdout.WriteString(s.Listener.Addr().String() + "\n")
	os.Stdout.WriteString(wait(t, "incident", s.overdue).Stack)
	select {} // until it is killed
}

// A handler that obeys its context at once never takes the answer from the
// watch.
func TestObedientHandlerIsAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Timeout: 20 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		if context.Cause(r.Context()) != ErrTimeout {
			t.Errorf("cause %v", context.Cause(r.Context()))
		}
		http.Error(w, "too late", http.StatusServiceUnavailable)
	})
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			for range 5 {
				if got := <-s.status(http.DefaultClient, "/"); got != 504 {
					t.Errorf("status %d", got)
				}
			}
		})
	}
	clients.Wait()
}

// Two hundred at once: each gets its answer, the incidents are all told, and
// each before its recovery; the stacks are taken once a second.
func TestStorm(t *testing.T) {
	t.Parallel()
	const storm = 200
	release := make(chan struct{})
	told := make(chan uint64, 2*storm)
	w := New(Options{Timeout: 50 * time.Millisecond,
		Overdue: func(in Incident) {
			if in.Status != 504 || !strings.Contains(in.Stack, "theStuckFunction") {
				t.Errorf("incident %d: %+v", in.ID, in)
			}
			told <- in.ID
		},
		Recovered: func(id uint64) { told <- id },
	})
	s := newSite(t, Options{}, nil, func(s *site) {
		s.Config.Handler = w.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { theStuckFunction(release) }))
	})
	began := time.Now()
	var answered sync.WaitGroup
	for range storm {
		conn := s.dial(t, get("GET"))
		answered.Go(func() {
			if all, err := io.ReadAll(conn); err != nil || strings.Count(string(all), "HTTP/1.1 504 ") != 1 {
				t.Errorf("%q, %v", all, err)
			}
		})
	}
	answered.Wait()
	seen := map[uint64]bool{}
	for last := uint64(0); last < storm; {
		id := wait(t, "incident", told)
		if id != last+1 {
			t.Errorf("%d comes after %d", id, last)
		}
		seen[id], last = true, id
	}
	if snap := w.Snapshot(); snap.Stuck != storm || snap.InFlight != storm || snap.TimedOut != storm {
		t.Errorf("%+v", snap)
	}
	w.clerk.mu.Lock()
	if most := 1 + int(time.Since(began)/dumpPause); w.clerk.dumps > most {
		t.Errorf("%d profiles, %d allowed", w.clerk.dumps, most)
	}
	w.clerk.mu.Unlock()
	close(release)
	for range storm {
		if id := wait(t, "recovery", told); !seen[id] {
			t.Errorf("%d recovers and was not overdue, or twice", id)
		} else {
			delete(seen, id)
		}
	}
}

// A handler that never lets go of the writer for long cannot keep the answer
// back.
func TestBusyHandlerIsAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Timeout: 20 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		var writers sync.WaitGroup
		for range 8 {
			writers.Go(func() {
				for r.Context().Err() == nil {
					w.Header()
				}
			})
		}
		writers.Wait()
	})
	for range 5 {
		if got := wait(t, "answer", s.status(http.DefaultClient, "/")); got != 504 {
			t.Errorf("status %d", got)
		}
	}
}
