package integration

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Limits for some requests: by path and method, longer, shorter, none.
func TestRouteLimits(t *testing.T) {
	t.Parallel()
	s := start(t, `
workers = 1
timeout = "250ms"
[watch]
grace = "60s"
[[watch.route]]
path = "/slow"
methods = ["POST", "PUT"]
timeout = "30s"
[[watch.route]]
path = "/wait/"
timeout = "0s"
[[watch.route]]
path = "/wait/{who}/briefly"
timeout = "50ms"
`+app())
	for _, c := range []struct {
		method, path, status string
	}{
		{"GET", "/slow?for=600ms", "504"},
		{"POST", "/slow?for=600ms", "200"},
		{"PUT", "/slow?for=600ms", "200"},
		{"DELETE", "/slow?for=600ms", "504"},
		{"GET", "/wait/deep/down?for=600ms", "200"},
		{"POST", "/wait/?for=600ms", "200"},
		{"GET", "/wait/me/briefly?for=20s", "504"},
	} {
		t.Run(c.method+c.path, func(t *testing.T) {
			t.Parallel()
			if got := s.talk(c.method, c.path); got.status() != c.status || got.err != nil {
				t.Errorf("the client got %s", got)
			}
		})
	}
	t.Cleanup(func() { // after all of them, before the server ends
		if in := s.incident("/wait/me/briefly", "open"); in.AgeMS >= 250 {
			t.Errorf("the brief one was found after %d ms", in.AgeMS)
		}
		for _, in := range s.incidents() {
			if in.Path != "/wait/me/briefly" && in.Path != "/slow" {
				t.Errorf("an incident of %s", in.Path)
			}
		}
	})
}

// What the client of an overdue request is answered can be chosen.
func TestOtherStatus(t *testing.T) {
	t.Parallel()
	for status, text := range map[int]string{503: "Service Unavailable", 599: ""} {
		s := start(t, fmt.Sprintf("workers = 1\ntimeout = \"150ms\"\n[watch]\nstatus = %d\n", status)+app())
		got := s.talk("GET", "/late")
		if text != "" {
			checkAnswer(t, got, status, text)
		} else if got.status() != fmt.Sprint(status) {
			t.Errorf("the client got %s", got)
		}
		if in := s.incident("/late", "recovered"); in.Status != status {
			t.Errorf("the incident is %+v", in)
		}
	}
}

// With status 0 the connection is cut without a byte.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"150ms\"\n[watch]\nstatus = 0\n"+app())
	if got := s.talk("GET", "/stuck?how=block"); got.bytes != "" || got.took < 150*time.Millisecond {
		t.Errorf("the client got %s", got)
	}
	if in := s.incident("/stuck", ""); in.Status != 0 {
		t.Errorf("the incident is %+v", in)
	}
}

// The handler knows best how long it may take.
func TestHandlerSetsItsLimit(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"250ms\"\n[watch]\ngrace = \"60s\"\n"+app())
	workers := pids(s.waitWorkers(1))
	for path, want := range map[string]string{
		"/longer?limit=30s&for=600ms": "200",
		"/stream?n=12":                "200",
	} {
		if got := s.talk("GET", path); got.status() != want || got.err != nil {
			t.Errorf("%s: the client got %s", path, got)
		}
	}
	s.peaceful(workers)
	if got := s.talk("GET", "/longer?limit=40ms&for=20s"); got.status() != "504" {
		t.Errorf("the client got %s", got)
	}
	if in := s.incident("/longer", "open"); in.AgeMS < 40 || in.AgeMS >= 250 {
		t.Errorf("the incident is %+v", in)
	}
}

// A stream comes through piece by piece, and whole, though it lasts longer than
// any request may.
func TestStreamIsWhole(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"200ms\"\n"+app())
	text := s.get("/stream?n=12")
	if want := "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n"; text != want {
		t.Errorf("got %q", text)
	}
}

// A connection that its handler has taken over has left the watch: it may last.
func TestHijackedConnectionLasts(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"150ms\"\n"+unhurried+app())
	workers := pids(s.waitWorkers(1))
	c := s.dial()
	fmt.Fprint(c, "GET /hijack HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	for i := range 3 {
		if got := s.talk("GET", "/slow?for=200ms"); got.status() != "200" { // time passes
			t.Errorf("beside it: %s", got)
		}
		fmt.Fprintf(c, "echo %d\n", i)
		if line, err := in.ReadString('\n'); err != nil || strings.TrimSpace(line) != fmt.Sprintf("echo %d", i) {
			t.Errorf("%q came back, %v", line, err)
		}
	}
	s.peaceful(workers)
}

// Work that is no request has the same ladder, without an answer.
func TestStuckTask(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"200ms\"\n[watch]\ngrace = \"150ms\"\n"+unhurried+app())
	old := pids(s.waitWorkers(1))[1]
	s.get("/task?label=nightly+report")
	fresh := s.replaced(1, old)
	in := s.incident("nightly report", "killed")
	if in.Kind != "timeout" || in.Method != "" || in.Status != 0 || in.AgeMS < 200 || in.PID != old ||
		!strings.Contains(in.Stack, "main.runTask\n") || !strings.Contains(in.Stack, fmt.Sprintf("/stuck.go:%d\n", lineOf(t, "task"))) {
		t.Errorf("the incident is %+v", in)
	}
	eventually(t, "the old worker is gone", func() bool { return !alive(old) })
	s.untouched(1, fresh)
	if st := s.status(); st.Counters.Exits["timeout"] != 1 || st.Counters.Spawned != 2 {
		t.Errorf("counted %+v", st.Counters)
	}
}

// A task that ends within the grace costs nothing.
func TestLateTaskRecovers(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"150ms\"\n[watch]\ngrace = \"20s\"\n"+unhurried+app())
	workers := pids(s.waitWorkers(1))
	s.get("/task?label=short&for=50ms")
	s.get("/task?label=report&for=400ms")
	s.incident("report", "recovered")
	if n := len(s.incidents()); n != 1 {
		t.Errorf("%d incidents", n)
	}
	s.noneReplaced(workers)
}
