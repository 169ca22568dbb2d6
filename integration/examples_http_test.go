package integration

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A router of others serves as it is: a stuck route has its 504, and an incident
// that shows the line; its neighbours are answered.
func TestExampleChiStuckRoute(t *testing.T) {
	t.Parallel()
	s := startExample(t, "chi", "workers = 1\ntimeout = \"1s\"\n[watch]\ngrace = \"60s\"\n")
	stuck := s.later("GET", "/reports/13")
	if got := s.get("/hello/chi"); got != "Hello, chi, from worker 1\n" {
		t.Errorf("a neighbour got %q", got)
	}
	s.has504(<-stuck, "/reports/13", "main.report")
	if got := s.get("/reports/12"); got != "Report 12\n" {
		t.Errorf("a neighbour got %q", got)
	}
}

// fasthttp has no middleware of ours, only worker.Begin: the same.
func TestExampleFasthttpStuckRequest(t *testing.T) {
	t.Parallel()
	s := startExample(t, "fasthttp", "workers = 1\ntimeout = \"1s\"\n[watch]\ngrace = \"60s\"\n")
	stuck := s.later("GET", "/stuck")
	s.has504(<-stuck, "/stuck", "main.hello")
	if got := s.get("/"); got != "Hello from worker 1\n" {
		t.Errorf("a neighbour got %q", got)
	}
}

// has504 checks what the client of a stuck request saw, and the incident of it.
func (s *server) has504(e exchange, path, function string) {
	s.t.Helper()
	if e.err != nil || e.status() != "504" || e.took < time.Second || e.took > 10*time.Second {
		s.t.Errorf("the stuck request: %s", e)
	}
	if in := s.incident(path, "open"); !strings.Contains(in.Stack, function+"\n") {
		s.t.Errorf("the incident does not show where it is stuck: %+v", in)
	}
}

// Workers that are replaced lose no request.
func TestExampleReloadLosesNothing(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"chi": "/hello/chi", "fasthttp": "/"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startExample(t, name, "workers = 2\n")
			tr := s.loadOf(16, path)
			for range 3 {
				tr.more(100)
				s.reload()
			}
			tr.more(100)
			tr.endWhole()
			s.onlyReloaded()
		})
	}
}

// A stream of events outlasts the timeout, ends in order when its worker leaves,
// and goes on with another where it was.
func TestExampleSSE(t *testing.T) {
	t.Parallel()
	s := startExample(t, "sse", "workers = 1\ntimeout = \"1s\"\n")
	events := s.events("")
	last := 0
	for began := time.Now(); time.Since(began) < 1500*time.Millisecond; { // half as long again as the timeout
		last = events.next()
	}
	s.reload()
	for n := events.next(); n > 0; n = events.next() {
		if n != last+1 {
			t.Errorf("event %d after event %d", n, last)
		}
		last = n
	}
	next := 0
	eventually(t, "the next stream", func() bool { // the first may come over a connection of the old worker, and end at once
		next = s.events(strconv.Itoa(last)).next()
		return next > 0
	})
	if next != last+1 {
		t.Errorf("the next stream begins with %d after %d", next, last)
	}
	s.onlyReloaded()
}

// eventStream is what a browser makes of a response.
type eventStream struct {
	t     *testing.T
	lines *bufio.Reader
}

func (s *server) events(lastID string) eventStream {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", lastID)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || kind != "text/event-stream" {
		s.t.Fatalf("%s, %s", resp.Status, kind)
	}
	return eventStream{s.t.(*testing.T), bufio.NewReader(resp.Body)}
}

// next is the number of the next event, 0 if the stream has ended in order: behind
// a whole event, and with the last chunk of the response.
func (e eventStream) next() (id int) {
	e.t.Helper()
	for {
		line, err := e.lines.ReadString('\n')
		switch {
		case err == io.EOF && line == "" && id == 0:
			return 0
		case err != nil:
			e.t.Fatalf("the stream was cut: %v, %q", err, line)
		case line == "\n" && id > 0:
			return id
		}
		if text, is := strings.CutPrefix(line, "id: "); is {
			id, _ = strconv.Atoi(strings.TrimSpace(text))
		}
	}
}

// A WebSocket is closed with 1001 when its worker leaves, which then does not wait.
func TestExampleWebSocket(t *testing.T) {
	t.Parallel()
	s := startExample(t, "websocket", "workers = 1\n")
	ws := s.webSocket()
	ws.echoes("before")
	s.hup()
	kind, body := ws.read()
	if kind != closing || binary.BigEndian.Uint16(body) != 1001 {
		t.Fatalf("at the drain came %x %q", kind, body)
	}
	ws.send(closing, body[:2])
	if rest, err := io.ReadAll(ws.Reader); err != nil || len(rest) > 0 {
		t.Errorf("behind the goodbye: %v, %q", err, rest)
	}
	s.settled(1)
	s.webSocket().echoes("after")
	s.onlyReloaded()
}

// webSocket is a client as small as RFC 6455 allows.
type webSocket struct {
	t *testing.T
	io.Writer
	*bufio.Reader
}

// Frames of these kinds are sent, with the bit that says that they are whole.
const (
	text    = 0x81
	closing = 0x88
)

func (s *server) webSocket() webSocket {
	s.t.Helper()
	c := s.dial()
	ws := webSocket{s.t.(*testing.T), c, bufio.NewReader(c)}
	fmt.Fprint(c, "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	resp, err := http.ReadResponse(ws.Reader, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" // RFC 6455, 1.3
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != accept {
		s.t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	return ws
}

// send sends a short frame, with a mask that changes nothing.
func (ws webSocket) send(kind byte, body []byte) {
	ws.t.Helper()
	frame := append([]byte{kind, 0x80 | byte(len(body)), 0, 0, 0, 0}, body...)
	if _, err := ws.Write(frame); err != nil {
		ws.t.Fatal(err)
	}
}

// read reads a short frame.
func (ws webSocket) read() (kind byte, body []byte) {
	ws.t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(ws.Reader, head); err != nil {
		ws.t.Fatal(err)
	}
	body = make([]byte, head[1])
	if _, err := io.ReadFull(ws.Reader, body); err != nil {
		ws.t.Fatal(err)
	}
	return head[0], body
}

func (ws webSocket) echoes(words string) {
	ws.t.Helper()
	ws.send(text, []byte(words))
	if kind, body := ws.read(); kind != text || string(body) != words {
		ws.t.Errorf("the echo of %q is %x %q", words, kind, body)
	}
}
