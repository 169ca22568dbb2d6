package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/control"
)

// unhurried takes the limit from requests that only serve the test: on a machine
// that is overloaded even they may last as long as the short timeouts of tests.
const unhurried = `
[[watch.route]]
path = "/pid"
timeout = "0s"
[[watch.route]]
path = "/pipe"
timeout = "0s"
[[watch.route]]
path = "/shout"
timeout = "0s"
[[watch.route]]
path = "/slow"
timeout = "0s"
`

// dial opens a connection to the server that ends with the test.
func (s *server) dial() net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// exchange is what a client sees of one request, byte by byte, until the server
// ends the connection.
type exchange struct {
	bytes string
	err   error // reset, say; nil if the connection was ended in order
	took  time.Duration
}

// talk sends a request of method and path as it is, over a connection of its
// own; that the connection is made does not count as its time.
func (s *server) talk(method, path string) exchange {
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		return exchange{err: err}
	}
	defer c.Close()
	return talkOver(c, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path))
}

func talkOver(c net.Conn, request string) exchange {
	_ = c.SetDeadline(time.Now().Add(patience))
	began := time.Now()
	if request != "" {
		if _, err := io.WriteString(c, request); err != nil {
			return exchange{err: err}
		}
	}
	text, err := io.ReadAll(c)
	return exchange{string(text), err, time.Since(began)}
}

// status is the number in the status line, "" if there is none.
func (e exchange) status() string {
	_, rest, _ := strings.Cut(e.bytes, " ")
	code, _, found := strings.Cut(rest, " ")
	if !found || !strings.HasPrefix(e.bytes, "HTTP/1.1 ") {
		return ""
	}
	return code
}

func (e exchange) String() string {
	return fmt.Sprintf("after %s, error %v: %.500q", e.took.Round(time.Millisecond), e.err, e.bytes)
}

func (s *server) incidents() []control.Incident {
	s.t.Helper()
	resp, err := s.controlClient().Get("http://control/incidents")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var list []control.Incident
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		s.t.Fatalf("/incidents is not JSON: %v", err)
	}
	return list
}

// incident waits for the newest one of a path that has an outcome ("" is any).
func (s *server) incident(path, outcome string) (in control.Incident) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("an incident %s of %s", outcome, path), func() bool {
		list := s.incidents()
		i := slices.IndexFunc(list, func(in control.Incident) bool {
			return in.Path == path && (outcome == "" || in.Outcome == outcome)
		})
		if i >= 0 {
			in = list[i]
		}
		return i >= 0
	})
	return in
}

// peaceful checks that nobody was reported, killed or replaced: n were started,
// and they are the ones in workers.
func (s *server) peaceful(workers map[int]int) {
	s.t.Helper()
	if list := s.incidents(); len(list) > 0 {
		s.t.Errorf("%d incidents, the newest %+v", len(list), list[0])
	}
	s.noneReplaced(workers)
}

func (s *server) noneReplaced(workers map[int]int) {
	s.t.Helper()
	st := s.status()
	for slot, pid := range workers {
		if now := pids(st)[slot]; now != pid {
			s.t.Errorf("worker %d was %d and is %d", slot, pid, now)
		}
	}
	exits := uint64(0)
	for _, n := range st.Counters.Exits {
		exits += n
	}
	if int(st.Counters.Spawned) != len(workers) || exits > 0 {
		s.t.Errorf("counted %+v", st.Counters)
	}
}

// stuckIn waits until the workers hold n stuck requests.
func (s *server) stuckIn(n int64) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d requests are stuck", n), func() bool {
		sum := int64(0)
		for _, w := range s.status().Workers {
			sum += w.Stuck
		}
		return sum == n
	})
}

// inFlight waits until the workers have n requests.
func (s *server) inFlight(n int64) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d requests run", n), func() bool {
		sum := int64(0)
		for _, w := range s.status().Workers {
			sum += w.InFlight
		}
		return sum == n
	})
}

// later makes a request in the background.
func (s *server) later(method, path string) <-chan exchange {
	done := make(chan exchange, 1)
	go func() { done <- s.talk(method, path) }()
	return done
}

// lineOf is the number of the line of the test app in which a way of being stuck
// stays.
func lineOf(t testing.TB, way string) int {
	t.Helper()
	text, err := os.ReadFile("testapp/stuck.go")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasSuffix(line, "// stuck: "+way) {
			return i + 1
		}
	}
	t.Fatalf("the test app has no line for %q", way)
	return 0
}

func median(all []time.Duration) time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

// inOrder checks that the log has lines with these parts, one after the other.
func (l *lineLog) inOrder(t testing.TB, parts ...string) {
	t.Helper()
	rest := l.String()
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("the log has no %q after those before it in %q:\n%s", part, parts, l)
			return
		}
		rest = after
	}
}
