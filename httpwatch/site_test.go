package httpwatch

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// site is a watched server and what it reported.
type site struct {
	*httptest.Server
	watch     *Watch
	overdue   chan Incident
	recovered chan uint64
}

// newSite starts one; changes are made to it before.
func newSite(t testing.TB, opt Options, h http.HandlerFunc, changes ...func(*site)) *site {
	t.Helper()
	s := &site{overdue: make(chan Incident, 1000), recovered: make(chan uint64, 1000)}
	opt.Overdue = func(in Incident) { s.overdue <- in }
	opt.Recovered = func(id uint64) { s.recovered <- id }
	s.watch = New(opt)
	s.watch.clerk.pause = 10 * time.Millisecond
	s.Server = httptest.NewUnstartedServer(s.watch.Handler(h))
	s.Config.ConnContext = ConnContext
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, change := range changes {
		change(s)
	}
	s.Start()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

// withHTTP2 lets a site speak HTTP/2 without TLS, and its client nothing else.
func withHTTP2(s *site) {
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
}

func http2Client() *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: tr}
}

// status of GET path comes when the answer has arrived, or 0. Over HTTP/2 the
// stream of a 504 does not end with its last byte.
func (s *site) status(c *http.Client, path string) <-chan int {
	status := make(chan int, 1)
	go func() {
		resp, err := c.Get(s.URL + path)
		if err != nil {
			status <- 0
			return
		}
		defer resp.Body.Close()
		length := resp.ContentLength
		if length < 0 {
			length = 1 << 62
		}
		if _, err = io.CopyN(io.Discard, resp.Body, length); err != nil && (err != io.EOF || resp.ContentLength >= 0) {
			status <- 0
			return
		}
		status <- resp.StatusCode
	}()
	return status
}

// dial opens a connection and sends text.
func (s *site) dial(t testing.TB, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(limitFor))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

const limitFor = 10 * time.Second // on what must not last

func wait[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(limitFor):
		t.Fatalf("no %s", what)
	}
	return v
}
