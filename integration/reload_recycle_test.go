package integration

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Workers that have answered so many requests are replaced, a few at a time, and
// nobody notices.
func TestRecycleByRequests(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 3\nmax_surge = 1\n", "[recycle]\nmax_requests = 100\nmax_requests_jitter = 50\n")
	d.waitWorkers(3)
	tr, looks := d.load(16), d.census()
	d.recycled("requests", 6)
	tr.endWhole()
	looks.stop(3+1, 3)
	d.onlyExits("requests")
}

// recycled waits until n workers have left for that reason.
func (s *server) recycled(cause string, n uint64) {
	s.t.Helper()
	seldom(s.t, "workers leave for "+cause, func() bool { return s.status().Counters.Exits[cause] >= n })
}

// onlyExits checks that nobody left for another reason.
func (s *server) onlyExits(cause string) {
	s.t.Helper()
	for why, n := range s.status().Counters.Exits {
		if why != cause && n > 0 {
			s.t.Errorf("%d workers left for %s", n, why)
		}
	}
	if n := s.log.count("worker killed"); n > 0 {
		s.t.Errorf("%d were killed", n)
	}
}

// A worker that has grown too large is replaced; the other one is not.
func TestRecycleByMemory(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\n", "[recycle]\nmax_memory = \"192MiB\"\n")
	before := pids(d.waitWorkers(2))
	tr, looks := d.load(8), d.census()
	large := d.get("/mem?mib=200")
	d.recycled("memory", 1)
	looks.stop(2+1, 2)
	tr.endWhole()
	st := d.settled(2)
	kept := 0
	for slot, pid := range pids(st) {
		if pid == before[slot] {
			kept++
		}
	}
	if kept != 1 || st.Counters.Exits["memory"] != 1 {
		t.Errorf("process %s had become large; workers %v have become %v, counted %+v", large, before, pids(st), st.Counters)
	}
	d.onlyExits("memory")
}

// A worker's collector knows max_memory.
func TestGarbageIsNoMemory(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 1\n", "[recycle]\nmax_memory = \"256MiB\"\n")
	d.waitWorkers(1)
	pid := d.get("/pid")
	env, err := os.ReadFile("/proc/" + pid + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprint("GOMEMLIMIT=", 256<<20-256<<20/10); !slices.Contains(strings.Split(string(env), "\x00"), want) {
		t.Errorf("the worker does not have %s", want)
	}
	if raceEnabled {
		return // the detector's own memory would be too much
	}
	d.get("/mem?mib=150") // garbage would make it 300
	for range 20 {
		if got := d.get("/garbage?mib=50"); got != pid {
			t.Fatalf("%s answers, not %s", got, pid)
		}
	}
	// The limit is one that the collector aims at: a busy machine makes it late.
	if most := statusField(t, pids(d.status())[1], "VmHWM"); kib(t, most) > 290<<10 {
		t.Errorf("it had %s", most)
	}
}

func kib(t *testing.T, field string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.Fields(field)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Workers that are too old are replaced, one after the other.
func TestRecycleByAge(t *testing.T) {
	t.Parallel()
	age := map[bool]string{false: "1s", true: "6s"}[raceEnabled] // much longer than a start takes
	d := deploy(t, "workers = 2\n", "[recycle]\nmax_age = \""+age+"\"\n")
	d.waitWorkers(2)
	tr, looks := d.load(8), d.census()
	d.recycled("age", 3)
	tr.endWhole()
	looks.stop(2+1, 2)
	d.onlyExits("age")
}

// stopping waits until the server says that it will leave.
func (s *server) stopping() {
	s.t.Helper()
	eventually(s.t, "the state is stopping", func() bool { return s.status().State == "stopping" })
}

// After TERM the server still serves while load balancers take notice; then it
// leaves by itself.
func TestShutdownDelay(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\nshutdown_delay = \"1s\"\n", "")
	began := time.Now()
	d.signal(syscall.SIGTERM)
	d.stopping()
	d.ends(0)
	if took := time.Since(began); took < time.Second || took > patience/2 {
		t.Errorf("it left after %s", took)
	}
}

// During the delay all is as before but for /readyz; a second TERM does not wait.
func TestServingDuringTheShutdownDelay(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\nshutdown_delay = \"120s\"\n", "")
	before := pids(d.waitWorkers(2))
	tr := d.load(8)
	tr.more(20)
	d.signal(syscall.SIGTERM)
	d.stopping()
	resp, err := d.controlClient().Get("http://control/readyz")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "stopping") {
		t.Errorf("/readyz: %s %s", resp.Status, text)
	}
	tr.more(100)
	kill(t, before[1], syscall.SIGKILL) // capacity is kept, too
	d.unclean = true
	d.replaced(1, before[1])
	got := tr.end()
	if got.lost["refused"] > 0 || got.ok < 100 {
		t.Errorf("seen %s", &got)
	}
	tr = d.load(8)
	tr.more(100)
	tr.endWhole()
	took := timed(t, "the stop after the second TERM", func() {
		d.signal(syscall.SIGTERM)
		d.ends(0)
	})
	if took > patience/2 {
		t.Errorf("it took %s", took)
	}
}

// Requests that wait in the kernel's queue when the server is told to leave are
// answered, though the app takes one at a time (F57).
func TestQueuedRequestsAreAnsweredAtQuit(t *testing.T) {
	t.Parallel()
	each := time.Duration(full(1000, 200)) * time.Millisecond
	d := deploy(t, "workers = 2\nworker_kill_timeout = \"60s\"\n", "env = { SERIAL = \""+each.String()+"\" }\n")
	answers := make(chan exchange, 16)
	for range cap(answers) {
		c := d.dial() // complete: from here on it is in the queue
		if _, err := io.WriteString(c, "GET /pid HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		go func() { answers <- talkOver(c, "") }()
	}
	d.signal(syscall.SIGQUIT)
	for range cap(answers) {
		if got := <-answers; got.status() != "200" || got.err != nil {
			t.Errorf("a client that was waiting got %s", got)
		}
	}
	d.ends(0)
}
