package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/control"
)

// Whatever a handler is stuck in: its client has the 504 and only that, a
// neighbour in the same worker is not touched, the successor is ready before the
// old worker is drained, and the incident names the line (F9, F11).
func TestStuckHandler(t *testing.T) {
	t.Parallel()
	for way, function := range map[string]string{
		"block": "main.blockForEver", "spin": "main.spin", "sleep": "main.sleepForEver",
		"mutex": "main.lockTwice", "read": "main.readSilence", "recursion": "main.descend",
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			testStuck(t, way, function)
		})
	}
}

func testStuck(t *testing.T, way, function string) {
	s := start(t, `
workers = 1
timeout = "250ms"
verbose = true
[watch]
grace = "200ms"
`+unhurried+app()+"gomaxprocs = 1\n")
	old := pids(s.waitWorkers(1))[1]
	neighbour := s.later("GET", "/slow?for=2500ms")
	s.inFlight(1)
	c := s.dial()
	got := talkOver(c, "GET /stuck?how="+way+" HTTP/1.1\r\nHost: x\r\n\r\n")
	checkAnswer(t, got, 504, "Gateway Timeout")
	if got.took < 250*time.Millisecond {
		t.Errorf("answered before its time: %s", got)
	}
	fresh := s.replaced(1, old)
	s.reach(map[int]int{1: fresh})
	if a := <-neighbour; a.err != nil || !strings.HasSuffix(a.bytes, fmt.Sprintf("\r\n\r\n%d", old)) {
		t.Errorf("the neighbour in worker %d got %s", old, a)
	}
	eventually(t, "the old worker is gone", func() bool { return !alive(old) })
	s.log.wait(t, fmt.Sprintf("msg=\"worker gone\" worker=1 pid=%d cause=timeout", old), s.exited)
	s.log.inOrder(t, "msg=\"request overdue\" worker=1", "msg=\"worker is to be replaced\" worker=1",
		fmt.Sprintf("msg=\"worker ready\" worker=1 pid=%d", fresh), fmt.Sprintf("msg=\"worker drains\" worker=1 pid=%d", old),
		fmt.Sprintf("msg=\"worker gone\" worker=1 pid=%d", old))
	if n := s.log.count("worker killed"); n != 0 {
		t.Errorf("it did not leave by itself when only the stuck request was left")
	}
	if st := s.status(); st.Counters.Spawned != 2 || st.Counters.Exits["timeout"] != 1 {
		t.Errorf("counted %+v", st.Counters)
	}
	checkIncident(t, s, s.incident("/stuck", "killed"), old, c.LocalAddr().String(), function, fmt.Sprintf("stuck.go:%d", lineOf(t, way)))
}

// checkAnswer wants exactly these bytes: nothing of the handler's, nothing of
// the server's inside (S37).
func checkAnswer(t *testing.T, got exchange, status int, name string) {
	t.Helper()
	head, body, _ := strings.Cut(got.bytes, "\r\n\r\n")
	lines := slices.DeleteFunc(strings.Split(head, "\r\n"), func(l string) bool { return strings.HasPrefix(l, "Date: ") })
	slices.Sort(lines[1:])
	text := fmt.Sprintf("%d %s\n", status, name)
	want := []string{"HTTP/1.1 " + strings.TrimSpace(text), "Cache-Control: no-store", "Connection: close",
		fmt.Sprintf("Content-Length: %d", len(text)), "Content-Type: text/plain; charset=utf-8", "X-Content-Type-Options: nosniff"}
	if !slices.Equal(lines, want) || body != text || got.err != nil {
		t.Errorf("the client got %s", got)
	}
}

// checkIncident looks at it where an operator would: the API, both forms of the
// verb, the log.
func checkIncident(t *testing.T, s *server, in control.Incident, pid int, remote, function, line string) {
	t.Helper()
	if in.Kind != "timeout" || in.Method != "GET" || in.Worker != 1 || in.PID != pid || in.Remote != remote ||
		in.AgeMS < 250 || in.Status != 504 || time.Since(in.At).Abs() > patience {
		t.Errorf("the incident is %+v", in)
	}
	if !strings.Contains(in.Stack, function+"\n") || !strings.Contains(in.Stack, "/"+line+"\n") {
		t.Errorf("its stack does not name %s at %s:\n%s", function, line, in.Stack)
	}
	if strings.Contains(in.Stack, "main.slow") {
		t.Errorf("its stack has that of the neighbour:\n%s", in.Stack)
	}
	var list []control.Incident
	if err := json.Unmarshal([]byte(s.verb(0, "incidents", "--json")), &list); err != nil || !slices.Contains(list, in) {
		t.Errorf("incidents --json: %v, %+v", err, list)
	}
	readable := s.verb(0, "incidents")
	for _, part := range []string{"timeout", "GET /stuck", remote, fmt.Sprint("pid ", pid), "answered 504", "killed", function, line} {
		if !strings.Contains(readable, part) {
			t.Errorf("incidents has no %q:\n%s", part, readable)
		}
	}
	s.log.inOrder(t, fmt.Sprintf("msg=\"request overdue\" worker=1 pid=%d id=%s method=GET path=/stuck remote=%s age=", pid, in.ID, remote),
		"status=504\n    ", function, line)
}

// The answer comes on time. What the machine adds is measured beside each: a
// request that sleeps as long in the same worker.
func TestAnswerIsOnTime(t *testing.T) {
	t.Parallel()
	const (
		limit          = 250 * time.Millisecond
		clients, times = 5, 10
	)
	s := start(t, `
workers = 1
timeout = "250ms"
[watch]
grace = "60s"
`+unhurried+app()+"gomaxprocs = 2\n")
	workers := pids(s.waitWorkers(1))
	var mu sync.Mutex // guards both
	var stuck, slept []time.Duration
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range times {
				beside := s.later("GET", "/slow?for=250ms")
				got, other := s.talk("GET", "/stuck?how=block"), <-beside
				if got.status() != "504" || other.status() != "200" || got.err != nil {
					t.Errorf("got %s, beside it %s", got, other)
				}
				mu.Lock()
				stuck, slept = append(stuck, got.took), append(slept, other.took)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	s.noneReplaced(workers)
	t.Logf("median of %d: %s, longest %s; a sleep: %s, %s", len(stuck), median(stuck), slices.Max(stuck), median(slept), slices.Max(slept))
	if least := slices.Min(stuck); least < limit {
		t.Errorf("answered after %s", least)
	}
	if extra := median(slept) - limit; median(stuck) > limit+20*time.Millisecond+extra {
		t.Errorf("the median is %s; a sleep took %s longer than it should", median(stuck), extra)
	}
	if calm := slices.Max(slept) < limit+15*time.Millisecond; calm && slices.Max(stuck) > limit+50*time.Millisecond {
		t.Errorf("the longest took %s, a sleep at most %s", slices.Max(stuck), slices.Max(slept))
	}
}

// Half of an answer is out: no second status line follows, and nothing that
// would make it look whole.
func TestHalfAnAnswerIsCut(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"250ms\"\n"+app())
	got := talkOver(s.dial(), "GET /half HTTP/1.1\r\nHost: x\r\n\r\n")
	if strings.Count(got.bytes, "HTTP/1.1 ") != 1 || got.status() != "200" || !strings.HasSuffix(got.bytes, "the first half\r\n") {
		t.Errorf("the client got %s", got)
	}
	if _, err := s.tryGet("/half"); err == nil {
		t.Error("a client takes it for the whole answer")
	}
	in := s.incident("/half", "open")
	if in.Status != 0 || !strings.Contains(in.Stack, "main.half") || !strings.Contains(in.Stack, "main.blockForEver") {
		t.Errorf("the incident is %+v", in)
	}
	if text := s.verb(0, "incidents"); !strings.Contains(text, "connection cut") {
		t.Errorf("incidents: %s", text)
	}
}

// A handler that heeds its context, or is a little late only, costs nothing.
func TestLateHandlerRecovers(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\ntimeout = \"150ms\"\n[watch]\ngrace = \"20s\"\n"+app())
	workers := pids(s.waitWorkers(2))
	for path, query := range map[string]string{"/late": "", "/slow": "?for=400ms"} {
		checkAnswer(t, s.talk("GET", path+query), 504, "Gateway Timeout")
		if in := s.incident(path, "recovered"); in.Status != 504 {
			t.Errorf("the incident is %+v", in)
		}
	}
	s.log.wait(t, "late: httpwatch: the request has exceeded its timeout", s.exited)
	s.log.wait(t, "late: write: http: Handler timeout", s.exited)
	s.log.waitN(t, "msg=\"request recovered\"", 2, s.exited)
	s.stuckIn(0)
	s.noneReplaced(workers)
	if text := s.verb(0, "incidents"); strings.Count(text, "recovered") != 2 {
		t.Errorf("incidents: %s", text)
	}
}

// A client that has left before the answer is due changes nothing about a
// handler that is stuck.
func TestStuckHandlerOfAClientThatLeft(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"300ms\"\n[watch]\ngrace = \"100ms\"\n"+app())
	old := pids(s.waitWorkers(1))[1]
	c := s.dial()
	fmt.Fprint(c, "GET /stuck?how=block HTTP/1.1\r\nHost: x\r\n\r\n")
	s.log.wait(t, "stuck by block", s.exited)
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
	s.incident("/stuck", "")
	s.replaced(1, old)
	s.incident("/stuck", "killed")
}
