package integration

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// slowLimits are short: a client may be silent for a second, a handler may run
// for less.
const slowLimits = `
workers = 1
timeout = "500ms"
[watch]
grace = "100ms"
`

const slowHTTP = "[http]\nread_header_timeout = \"1s\"\nread_timeout = \"1s\"\nwrite_timeout = \"1s\"\n"

// Clients that take their time, longer than any handler may, get all they want,
// harm no worker and hold up nobody (F65).
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := start(t, slowLimits+unhurried+app()+slowHTTP)
	workers := pids(s.waitWorkers(1))
	var slow sync.WaitGroup
	for range 4 {
		slow.Go(func() { s.halfAHeader() })
		slow.Go(func() { s.bodyInDrops() })
		slow.Go(func() { s.readInDrops() })
	}
	served, over := 0, make(chan struct{})
	go func() { slow.Wait(); close(over) }()
	for done := false; !done; served++ {
		select {
		case <-over:
			done = true
		case <-time.After(2 * time.Millisecond): // leaves the machine to other tests
		}
		if got := s.talk("GET", "/pid"); got.status() != "200" || got.err != nil {
			t.Errorf("a client that is not slow got %s", got)
		}
	}
	t.Logf("%d others were served meanwhile", served)
	s.inFlight(0)
	s.peaceful(workers)
}

// halfAHeader is cut by read_header_timeout, a second.
func (s *server) halfAHeader() {
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer c.Close()
	got := talkOver(c, "GET /pid HTTP/1.1\r\nHost: x\r\nX-Half")
	if got.status() == "200" || got.took < 900*time.Millisecond || got.took > 20*time.Second {
		s.t.Errorf("half a header: %s", got)
	}
}

// bodyInDrops sends a byte at a time, for three times timeout.
func (s *server) bodyInDrops() {
	const n = 15
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", n)
	for range n {
		time.Sleep(100 * time.Millisecond) // the pace of the client is what is tested
		if _, err := c.Write([]byte{'x'}); err != nil {
			s.t.Errorf("body: %v", err)
		}
	}
	if got := talkOver(c, ""); got.status() != "200" || !strings.HasSuffix(got.bytes, "\r\n\r\n15") {
		s.t.Errorf("body in drops: %s", got)
	}
}

// readInDrops reads a byte at a time and a large piece now and then, for three
// times timeout, and then the rest; what it has not asked for yet fills the
// buffers between, so that the handler waits in Write.
func (s *server) readInDrops() {
	const n = 16 << 20
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET /write?bytes=%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", n)
	got, piece := 0, make([]byte, 256<<10)
	for i := range 15 {
		time.Sleep(100 * time.Millisecond)
		want := piece[:1]
		if i%4 == 3 {
			want = piece
		}
		k, err := io.ReadFull(c, want)
		if err != nil {
			s.t.Errorf("reading in drops, after %d bytes: %v", got, err)
			return
		}
		got += k
	}
	rest, err := io.Copy(io.Discard, c)
	if err != nil || got+int(rest) < n {
		s.t.Errorf("reading in drops: %d of %d bytes, %v", got+int(rest), n, err)
	}
}

// A client that stops altogether is cut at the limit of waiting for it. That is
// its fault alone.
func TestSilentClientsAreCut(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct{ request, log string }{
		"sending": {"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", "read ended: "},
		"taking":  {"GET /write?bytes=67108864 HTTP/1.1\r\nHost: x\r\n\r\n", "write ended: "},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := start(t, slowLimits+unhurried+app()+slowHTTP)
			workers := pids(s.waitWorkers(1))
			conns := make([]net.Conn, 4)
			began := time.Now()
			for i := range conns {
				conns[i] = s.dial()
				_, _ = io.WriteString(conns[i], c.request)
			}
			s.log.wait(t, c.log, s.exited)
			first := time.Since(began)
			s.log.waitN(t, c.log, len(conns), s.exited)
			if last := time.Since(began); first < 900*time.Millisecond || last > 20*time.Second {
				t.Errorf("cut between %s and %s", first, last)
			}
			for _, conn := range conns {
				if n, err := io.Copy(io.Discard, conn); n >= 64<<20 {
					t.Errorf("%d bytes came through, %v", n, err)
				}
			}
			s.get("/pid")
			s.inFlight(0)
			s.peaceful(workers)
		})
	}
}

// Clients that leave in odd ways: the handler hears of it, its request is gone,
// the worker is fine (F64).
func TestClientsThatLeave(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"20s\"\n"+app())
	workers := pids(s.waitWorkers(1))
	reset := func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() }

	waits := s.dial() // before the answer
	fmt.Fprint(waits, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
	s.inFlight(1)
	reset(waits)
	s.log.wait(t, "late: context canceled", s.exited)

	half := s.dial() // has said all it wants
	fmt.Fprint(half, "GET /slow?for=300ms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	_ = half.(*net.TCPConn).CloseWrite()
	if got := talkOver(half, ""); got.status() != "200" {
		t.Errorf("half closed: %s", got)
	}

	middle := s.dial() // amid the answer
	fmt.Fprint(middle, "GET /write?bytes=67108864 HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := io.ReadFull(middle, make([]byte, 1000)); err != nil {
		t.Error(err)
	}
	reset(middle)
	s.log.wait(t, "write ended: ", s.exited)

	amid := s.dial() // amid its own body
	fmt.Fprint(amid, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
	s.inFlight(1)
	reset(amid)
	s.log.wait(t, "read ended: ", s.exited)

	for range 50 { // at once
		c := s.dial()
		fmt.Fprint(c, "GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
		reset(c)
	}
	s.get("/pid")
	s.inFlight(0)
	s.peaceful(workers)
}
