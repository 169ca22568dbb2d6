package httpwatch

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

//go:noinline
func theStuckFunction(release <-chan struct{}) { <-release }

func TestStuckRequestGets504(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	causes := make(chan error, 1)
	s := newSite(t, Options{Timeout: 100 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Mine", "never sent")
		theStuckFunction(release)
		causes <- context.Cause(r.Context())
		if _, err := w.Write([]byte("late")); !errors.Is(err, http.ErrHandlerTimeout) {
			t.Errorf("a late write says %v", err)
		}
	})
	began := time.Now()
	resp, err := http.Get(s.URL + "/stuck?secret=1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	took := time.Since(began)
	if err != nil || resp.StatusCode != 504 || string(body) != "504 Gateway Timeout\n" || !resp.Close ||
		resp.ContentLength != int64(len(body)) || resp.Header.Get("X-Mine") != "" {
		t.Errorf("%v %q %v close=%v", resp, body, err, resp.Close)
	}
	if took < 100*time.Millisecond || took > 5*time.Second {
		t.Errorf("after %s", took)
	}
	in := wait(t, "incident", s.overdue)
	if in.Method != "GET" || in.Path != "/stuck" || in.Status != 504 || in.Age < 100*time.Millisecond || in.Remote == "" {
		t.Errorf("incident %+v", in)
	}
	if !strings.Contains(in.Stack, "theStuckFunction") {
		t.Errorf("the stack does not name the function:\n%s", in.Stack)
	}
	if snap := s.watch.Snapshot(); snap.InFlight != 1 || snap.Stuck != 1 || snap.TimedOut != 1 {
		t.Errorf("while it is stuck: %+v", snap)
	}
	close(release)
	if id := wait(t, "recovery", s.recovered); id != in.ID {
		t.Errorf("recovered %d, not %d", id, in.ID)
	}
	if cause := wait(t, "cause", causes); cause != ErrTimeout {
		t.Errorf("cause %v", cause)
	}
	if snap := s.watch.Snapshot(); snap.InFlight != 0 || snap.Stuck != 0 || snap.Requests != 1 {
		t.Errorf("afterwards: %+v", snap)
	}
}

// Half a response is out: the connection is cut, and no second status line is
// written.
func TestStuckAfterHalfAnAnswerIsCut(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newSite(t, Options{Timeout: 100 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		<-release
	})
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(limitFor))
	all, err := io.ReadAll(conn)
	if errors.Is(err, context.DeadlineExceeded) || strings.Count(string(all), "HTTP/1.1 ") != 1 || strings.Contains(string(all), "0\r\n\r\n") {
		t.Errorf("%q, %v", all, err)
	}
	if in := wait(t, "incident", s.overdue); in.Status != 0 {
		t.Errorf("incident %+v", in)
	}
	close(release)
}

func TestNeighboursAreNotDisturbed(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newSite(t, Options{Timeout: 50 * time.Millisecond, Routes: []Route{{"/long/", time.Minute}}}, func(w http.ResponseWriter, r *http.Request) {
		<-release
		io.WriteString(w, "done")
	})
	neighbour := make(chan string, 1)
	go func() {
		resp, err := http.Get(s.URL + "/long/one")
		if err != nil {
			neighbour <- err.Error()
			return
		}
		body, _ := io.ReadAll(resp.Body)
		neighbour <- string(body)
	}()
	resp, err := http.Get(s.URL + "/short")
	if err != nil || resp.StatusCode != 504 {
		t.Fatal(resp, err)
	}
	close(release)
	if got := wait(t, "neighbour", neighbour); got != "done" {
		t.Errorf("the neighbour got %q", got)
	}
}

func TestSetTimeoutAndExempt(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newSite(t, Options{Timeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		var err error
		switch r.URL.Path {
		case "/exempt":
			err = Exempt(r.Context())
		case "/longer":
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			err = SetTimeout(ctx, time.Minute)
		case "/shorter":
			err = SetTimeout(r.Context(), time.Millisecond)
		}
		if err != nil {
			t.Error(err)
		}
		<-release
	})
	codes := map[string]chan int{}
	for _, path := range []string{"/exempt", "/longer", "/shorter", "/plain"} {
		c := make(chan int, 1)
		codes[path] = c
		go func() {
			resp, err := http.Get(s.URL + path)
			if err != nil {
				t.Error(err)
				c <- 0
				return
			}
			resp.Body.Close()
			c <- resp.StatusCode
		}()
	}
	if got := wait(t, "answer", codes["/shorter"]); got != 504 {
		t.Errorf("/shorter: %d", got)
	}
	if got := wait(t, "answer", codes["/plain"]); got != 504 {
		t.Errorf("/plain: %d", got)
	}
	close(release)
	for _, path := range []string{"/exempt", "/longer"} {
		if got := wait(t, "answer", codes[path]); got != 200 {
			t.Errorf("%s: %d", path, got)
		}
	}
	if err := SetTimeout(context.Background(), time.Second); err == nil {
		t.Error("SetTimeout of a strange context succeeds")
	}
}

// A client that sends its body slowly costs the handler no time of its own; one
// that stops is cut, without an incident.
func TestSlowClientsAreNoIncident(t *testing.T) {
	t.Parallel()
	read := make(chan error, 1)
	s := newSite(t, Options{Timeout: 150 * time.Millisecond, ReadTimeout: 400 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		read <- err
	})
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
	if err := wait(t, "end of the read", read); err == nil {
		t.Error("the read of a body that stops did not fail")
	}
	if snap := s.watch.Snapshot(); snap.SlowClients != 1 || snap.TimedOut != 0 {
		t.Errorf("%+v", snap)
	}
}

// A reader that does not read holds a Write; that is its own fault.
func TestSlowReaderIsCut(t *testing.T) {
	t.Parallel()
	wrote := make(chan error, 1)
	s := newSite(t, Options{Timeout: 150 * time.Millisecond, WriteTimeout: 400 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 1<<20)
		for {
			if _, err := w.Write(chunk); err != nil {
				wrote <- err
				return
			}
		}
	})
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	wait(t, "end of the write", wrote)
	if snap := s.watch.Snapshot(); snap.SlowClients != 1 || snap.TimedOut != 0 {
		t.Errorf("%+v", snap)
	}
}

func TestTask(t *testing.T) {
	t.Parallel()
	overdue, recovered := make(chan Incident, 1), make(chan uint64, 1)
	w := New(Options{Timeout: 50 * time.Millisecond, Overdue: func(in Incident) { overdue <- in }, Recovered: func(id uint64) { recovered <- id }})
	task := w.Begin(context.Background(), "nightly job")
	<-task.Context().Done()
	in := wait(t, "incident", overdue)
	if in.Path != "nightly job" || context.Cause(task.Context()) != ErrTimeout || !strings.Contains(in.Stack, "TestTask") {
		t.Errorf("%+v, cause %v", in, context.Cause(task.Context()))
	}
	task.Done()
	task.Done()
	if id := wait(t, "recovery", recovered); id != in.ID {
		t.Errorf("recovered %d", id)
	}
}

func TestParseProfile(t *testing.T) {
	t.Parallel()
	got := parseProfile(`goroutine profile: total 4
1 @ 0x1 0x2
# labels: {"fugue.request":"17", "other":"x"}
#	0x1	main.stuck+0x20			/src/main.go:10
#	0x2	main.(*server).handler+0x3f	/src/main.go:20

2 @ 0x3
# labels: {"fugue.request":"17"}
#	0x3	main.helper+0x1	/src/main.go:30

1 @ 0x5
# labels: {"fugue.request":"17"}
#	0x5	net.(*conn).Read+0x1	/net.go:1
#	0x6	net/http.(*connReader).backgroundRead+0x1	/server.go:1

1 @ 0x7
# labels: {"fugue.request":"18"}
#	0x7	main.helper+0x1	/src/main.go:30

1 @ 0x8
# labels: {"fugue.request":"18"}
#	0x8	main.stuck+0x1	/src/main.go:10
#	0x9	github.com/fugue-http/fugue/httpwatch.(*Watch).serve+0x1	/request.go:1

1 @ 0x4
#	0x4	main.other+0x1	/src/main.go:40
`)
	want := "main.stuck\n\t/src/main.go:10\nmain.(*server).handler\n\t/src/main.go:20\n\ngoroutines: 2\nmain.helper\n\t/src/main.go:30\n"
	if len(got) != 2 || got["17"] != want {
		t.Errorf("%q", got)
	}
	if !strings.HasPrefix(got["18"], "main.stuck\n") || !strings.Contains(got["18"], "\n\nmain.helper\n") {
		t.Errorf("the handler does not come first: %q", got["18"])
	}
}
