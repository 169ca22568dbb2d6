package httpwatch

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// steady calls step every quarter of limit for three limits. It says whether the
// machine was fast enough for that to be a fair test.
func steady(limit time.Duration, step func() error) (fair bool, err error) {
	fair = true
	for range 12 {
		before := time.Now()
		time.Sleep(limit / 4)
		if err = step(); err != nil {
			return fair, err
		}
		fair = fair && time.Since(before) < limit/2
	}
	return fair, nil
}

// patiently runs test until it was fair, at most five times.
func patiently(t *testing.T, test func() (fair bool, err error)) {
	t.Helper()
	for range 5 {
		fair, err := test()
		if fair && err != nil {
			t.Error(err)
		}
		if fair {
			return
		}
	}
	t.Skip("this machine is too slow at the moment")
}

// A client that sends a byte every quarter of the limit may take its time, and
// so does the clock of its handler.
func TestSlowButSteadySenderIsNotCut(t *testing.T) {
	t.Parallel()
	const limit = 200 * time.Millisecond
	s := newSite(t, Options{Timeout: 2 * limit, ReadTimeout: limit}, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})
	patiently(t, func() (bool, error) {
		conn := s.dial(t, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 12\r\n\r\n")
		fair, err := steady(limit, func() error { _, err := conn.Write([]byte("x")); return err })
		if err != nil {
			return fair, err
		}
		all, err := io.ReadAll(conn)
		if fair && !strings.HasSuffix(string(all), "xxxxxxxxxxxx") {
			t.Errorf("%q", all)
		}
		return fair, err
	})
}

// slowly sends in pieces that tell nothing on their own: a TLS record is read
// when all of it is there.
type slowly struct {
	net.Conn
	send func([]byte) error
}

func (c slowly) Write(p []byte) (int, error) { return len(p), c.send(p) }

func TestSlowButSteadySenderOfOneRecordIsNotCut(t *testing.T) {
	t.Parallel()
	const limit = 200 * time.Millisecond
	s := newSite(t, Options{Timeout: 2 * limit, ReadTimeout: limit}, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if n != 12000 || err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	tlsSite := tlsOf(t, s)
	patiently(t, func() (fair bool, err error) {
		raw := tlsSite.dial(t, "")
		c := &slowly{Conn: raw, send: func(p []byte) error { _, err := raw.Write(p); return err }}
		client := tls.Client(c, &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true})
		io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 12000\r\n\r\n")
		c.send = func(p []byte) error {
			fair, err = steady(limit, func() error {
				n := min(1000, len(p))
				_, err := raw.Write(p[:n])
				p = p[n:]
				return err
			})
			raw.Write(p)
			return err
		}
		if _, err := client.Write(make([]byte, 12000)); err != nil {
			return fair, err
		}
		all, err := io.ReadAll(client)
		if fair && !strings.HasPrefix(string(all), "HTTP/1.1 200 ") {
			t.Errorf("%q", all)
		}
		return fair, err
	})
}

// tlsOf serves s's handler with TLS.
func tlsOf(t *testing.T, s *site) *site {
	other := &site{Server: httptest.NewUnstartedServer(s.Config.Handler), watch: s.watch}
	other.Config.ConnContext = ConnContext
	other.StartTLS()
	t.Cleanup(func() { other.CloseClientConnections(); other.Close() })
	return other
}

// One write may last for many limits, if the client takes some of it in each.
func TestSlowButSteadyReaderIsNotCut(t *testing.T) {
	t.Parallel()
	const limit, size = 400 * time.Millisecond, 16 << 20
	wrote := make(chan error, 5)
	s := newSite(t, Options{Timeout: 2 * limit, WriteTimeout: limit}, func(w http.ResponseWriter, r *http.Request) {
		_, err := w.Write(make([]byte, size))
		wrote <- err
	})
	patiently(t, func() (bool, error) {
		conn := s.dial(t, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		buf := make([]byte, 512<<10)
		fair, err := steady(limit, func() error { _, err := io.ReadFull(conn, buf); return err })
		if err != nil {
			return fair, err
		}
		select {
		case err := <-wrote:
			t.Errorf("the write has ended before all was read: %v", err)
			return true, nil
		default:
		}
		_, err = io.Copy(io.Discard, conn)
		<-wrote
		return fair, err
	})
}

// Clients that stop are cut, over each protocol, without an incident; their
// neighbours on the connection are not.
func TestStoppedClientsOverHTTP2(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 2)
	chunk := make([]byte, 1<<20)
	s := newSite(t, Options{Timeout: 100 * time.Millisecond, ReadTimeout: 200 * time.Millisecond, WriteTimeout: 200 * time.Millisecond},
		func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/write":
				for {
					if _, err := w.Write(chunk); err != nil {
						ended <- err
						return
					}
				}
			case "/read":
				_, err := io.Copy(io.Discard, r.Body)
				ended <- err
			}
		}, withHTTP2)
	client := http2Client()
	resp, err := client.Get(s.URL + "/write")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stopped, stop := io.Pipe()
	defer stop.Close()
	go func() {
		if resp, err := client.Post(s.URL+"/read", "text/plain", stopped); err == nil {
			resp.Body.Close()
		}
	}()
	for end := time.After(limitFor); len(ended) < 2; {
		if got := wait(t, "neighbour", s.status(client, "/other")); got != 200 {
			t.Errorf("the neighbour gets %d", got)
		}
		select {
		case <-end:
			t.Fatal("they are not cut")
		default:
		}
	}
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("no error")
		}
	}
	if snap := s.watch.Snapshot(); snap.SlowClients != 2 || snap.TimedOut != 0 {
		t.Errorf("%+v", snap)
	}
}

// The rest of a body that nobody reads does not hold the server for ever; a
// connection that was hijacked, or is shared, gets no deadline from that.
func TestUnreadBodyAfterHijack(t *testing.T) {
	t.Parallel()
	conns := make(chan net.Conn, 1)
	s := newSite(t, Options{ReadTimeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
		}
		conns <- conn
	})
	client := s.dial(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
	server := wait(t, "connection", conns)
	defer server.Close()
	for s.watch.Snapshot().InFlight > 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	io.WriteString(client, "0123456789")
	if _, err := server.Read(make([]byte, 1)); err != nil {
		t.Errorf("the hijacked connection: %v", err)
	}
}

func TestUnreadBodyOverHTTP2(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{ReadTimeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			time.Sleep(150 * time.Millisecond)
		}
	}, withHTTP2)
	client := http2Client()
	neighbour := s.status(client, "/")
	body, end := io.Pipe()
	defer end.Close()
	resp, err := client.Post(s.URL, "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := wait(t, "neighbour", neighbour); got != 200 {
		t.Errorf("the neighbour gets %d", got)
	}
}
