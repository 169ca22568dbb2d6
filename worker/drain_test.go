package worker

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/sockets"
)

func lingering(d time.Duration) wire.Settings {
	s := testSettings
	s.HTTP.Linger = d
	return s
}

func TestDrainTellsKeepAliveClientsToGo(t *testing.T) {
	t.Parallel()
	i := newInside(t, lingering(limit))
	ended := i.serve(t, &http.Server{Handler: http.HandlerFunc(echo)})
	c := keepAlive(t)
	if resp, _ := c.do(t, i.socket.url("/")); resp.Close {
		t.Error("Connection: close before the drain")
	}
	i.drain()
	if resp, _ := c.do(t, i.socket.url("/")); !resp.Close {
		t.Error("no Connection: close while draining")
	}
	check(t, within(t, "Serve", ended)) // long before linger is over
}

func TestDrainLeavesAnUpgradeItsConnectionHeader(t *testing.T) {
	t.Parallel()
	i := newInside(t, testSettings)
	i.drain()
	seen := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Upgrade", "websocket")
	i.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {})).ServeHTTP(seen, r)
	if got := seen.Header().Get("Connection"); got != "" {
		t.Errorf("Connection: %s", got)
	}
}

func TestDrainClosesIdleConnectionsAfterLinger(t *testing.T) {
	t.Parallel()
	i := newInside(t, lingering(50*time.Millisecond))
	ended := i.serve(t, &http.Server{Handler: http.HandlerFunc(echo)})
	never, err := net.Dial("tcp", i.socket.addr) // never sends a request
	check(t, err)
	defer never.Close()
	keepAlive(t).get(t, i.socket.url("/"))
	began := time.Now()
	i.command(t, wire.CommandDrain)
	check(t, within(t, "Serve", ended))
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("closed after %v, before linger was over", took)
	}
}

func TestDrainEndsLingerWhenTheMasterDies(t *testing.T) {
	t.Parallel()
	i := newInside(t, lingering(time.Hour))
	ended := i.serve(t, &http.Server{Handler: http.HandlerFunc(echo)})
	keepAlive(t).get(t, i.socket.url("/"))
	i.command(t, wire.CommandDrain)
	within(t, "drain", i.draining)
	i.cut()
	check(t, within(t, "Serve", ended))
}

func TestUnreadRequestKeepsItsConnection(t *testing.T) {
	t.Parallel()
	ours, theirs := tcpPair(t)
	if hasUnread(ours) {
		t.Error("unread bytes on a fresh connection")
	}
	_, err := theirs.Write([]byte("GET"))
	check(t, err)
	// Loopback delivers before Write returns.
	c := &conn{net: ours, resting: true}
	if again := c.close(); again != lookAgain || c.closing {
		t.Errorf("closed (ask again in %v), though a request waits", again)
	}
	_, err = io.ReadFull(ours, make([]byte, 3))
	check(t, err)
	if c.close(); !c.closing || !isClosedConn(ours) {
		t.Error("not closed, though nothing is unread")
	}
}

func tcpPair(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer ln.Close()
	theirs, err = net.Dial("tcp", ln.Addr().String())
	check(t, err)
	ours, err = ln.Accept()
	check(t, err)
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

// Accept has returned, but net/http has not heard of the connection yet.
func TestDrainSeesAConnectionOnItsWay(t *testing.T) {
	t.Parallel()
	ours, theirs := tcpPair(t)
	ln := &oneListener{make(chan struct{}), make(chan struct{}), make(chan struct{}), ours}
	w := newWorker(inheritance{pipe: -1, command: -1, settings: lingering(limit)}, nil)
	w.signalsOnce.Do(func() {}) // the test's own signals are none of its business
	w.taken.once.Do(func() { w.taken.gates = []*sockets.Gate{sockets.NewGate(ln)}; w.shutWhenDraining() })
	ended := make(chan error, 1)
	go func() { ended <- w.run(&http.Server{Handler: http.HandlerFunc(echo)}, apply(nil)) }()
	within(t, "accept", ln.accepting)
	w.drain()
	within(t, "shut", ln.closed)
	close(ln.proceed)
	fmt.Fprintf(theirs, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(theirs), nil)
	check(t, err)
	if resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("%s, close %v", resp.Status, resp.Close)
	}
	check(t, within(t, "Serve", ended))
}

// oneListener has one connection, and returns it when told.
type oneListener struct {
	accepting, proceed, closed chan struct{}
	conn                       net.Conn
}

func (l *oneListener) Accept() (net.Conn, error) {
	close(l.accepting)
	<-l.proceed
	return l.conn, nil
}

func (l *oneListener) Close() error   { close(l.closed); return nil }
func (l *oneListener) Addr() net.Addr { return l.conn.LocalAddr() }

func TestSweepClosesAFewAtATime(t *testing.T) {
	t.Parallel()
	table := newConns(sockets.NewSeat())
	for range closeAtOnce + 1 {
		c, _ := net.Pipe()
		table.add(c, context.Background())
	}
	now := time.Now().Add(time.Hour)
	if r := table.sweep(now, now, 0); r.again > time.Millisecond {
		t.Errorf("looks again in %v", r.again)
	}
	closing := 0
	for _, c := range table.open {
		if c.closing {
			closing++
		}
	}
	if closing != closeAtOnce {
		t.Errorf("closed %d at once, want %d", closing, closeAtOnce)
	}
}

func TestHijackedConnectionIsWaitedForAndLeavesTheWatch(t *testing.T) {
	t.Parallel()
	i := newInside(t, testSettings)
	taken := make(chan net.Conn, 1)
	release := make(chan struct{})
	ended := i.serve(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
		}
		taken <- c
		<-release // the handler is there still: no request is in flight all the same
	})})
	client, err := net.Dial("tcp", i.socket.addr)
	check(t, err)
	defer client.Close()
	fmt.Fprintf(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	c := within(t, "hijack", taken)
	i.await(t, "a beat without a request", func(m wire.Message) bool {
		return m.Type == wire.Beat && m.InFlight == 0 && m.Connections == 1
	})
	i.drain()
	close(release)
	fmt.Fprintln(c, "still here")
	if line, err := bufio.NewReader(client).ReadString('\n'); line != "still here\n" {
		t.Errorf("read %q, %v while draining", line, err)
	}
	select {
	case err := <-ended:
		t.Fatalf("left (%v) before the hijacked connection", err)
	default:
	}
	c.Close()
	check(t, within(t, "Serve", ended))
}

func TestDrainLimitIsAnError(t *testing.T) {
	t.Parallel()
	settings := testSettings
	settings.DrainLimit = 20 * time.Millisecond
	i := newInside(t, settings)
	ended := i.serve(t, &http.Server{Handler: http.HandlerFunc(echo)})
	r := begin(t, i.socket)
	i.busy(t, 1)
	i.drain()
	if err := within(t, "Serve", ended); !errors.Is(err, errDrainLimit) {
		t.Errorf("Serve = %v, want %v", err, errDrainLimit)
	}
	r.lost(t, "the limit was over")
	if code := within(t, "exit", i.exited); code != 1 {
		t.Errorf("exit %d of a main that hangs, want 1", code)
	}
}

// A WebSocket that never ends is no reason to stay.
func TestHijackedConnectionIsBoundedByTheDrainLimit(t *testing.T) {
	t.Parallel()
	settings := testSettings
	settings.DrainLimit = 20 * time.Millisecond
	i := newInside(t, settings)
	taken := make(chan net.Conn, 1)
	ended := i.serve(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
		}
		taken <- c
	})})
	client, err := net.Dial("tcp", i.socket.addr)
	check(t, err)
	defer client.Close()
	fmt.Fprintf(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	defer within(t, "hijack", taken).Close()
	i.drain()
	if err := within(t, "Serve", ended); !errors.Is(err, errDrainLimit) {
		t.Errorf("Serve = %v, want %v", err, errDrainLimit)
	}
}

func TestHTTP2ClientsAreToldToGo(t *testing.T) {
	t.Parallel()
	for _, idle := range []bool{true, false} {
		ts := httptest.NewUnstartedServer(nil)
		ts.EnableHTTP2 = true
		ts.StartTLS() // for its certificate and client only
		defer ts.Close()
		i := newInside(t, lingering(20*time.Millisecond))
		srv := &http.Server{
			Handler:   http.HandlerFunc(echo),
			TLSConfig: &tls.Config{Certificates: ts.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}},
		}
		ended := i.serve(t, srv)
		c := client{ts.Client()}
		c.Timeout = limit
		url := "https://" + i.socket.addr + "/"
		if resp, _ := c.do(t, url); resp.ProtoMajor != 2 {
			t.Fatalf("speaks %s, want HTTP/2", resp.Proto)
		}
		if idle {
			i.drain()
		} else {
			r := c.begin(t, url)
			i.busy(t, 1)
			i.drain()
			r.finish(t, "the worker drains meanwhile")
		}
		check(t, within(t, "Serve", ended))
	}
}

func TestUsersHooksAndLimitsAreKept(t *testing.T) {
	t.Parallel()
	settings := testSettings
	settings.HTTP.ReadHeaderTimeout, settings.HTTP.MaxHeaderBytes = time.Minute, 1000
	i := newInside(t, settings)
	var states atomic.Int64
	type key struct{}
	srv := &http.Server{
		IdleTimeout: time.Hour,
		ConnState:   func(net.Conn, http.ConnState) { states.Add(1) },
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, key{}, "mine") },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Context().Value(key{}))
		}),
	}
	ended := i.serve(t, srv)
	if got := keepAlive(t).get(t, i.socket.url("/")); got != "mine" {
		t.Errorf("the user's ConnContext gave %q", got)
	}
	if states.Load() == 0 {
		t.Error("the user's ConnState was not called")
	}
	i.stop()
	check(t, within(t, "Serve", ended))
	if srv.IdleTimeout != time.Hour || srv.ReadHeaderTimeout != time.Minute || srv.MaxHeaderBytes != 1000 {
		t.Errorf("limits %v %v %d: the user's are kept, the others come from the settings",
			srv.IdleTimeout, srv.ReadHeaderTimeout, srv.MaxHeaderBytes)
	}
}

func TestBeatTellsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	i := newInside(t, testSettings)
	first, second := i.watch.Begin(context.Background(), "one"), i.watch.Begin(context.Background(), "two")
	if m := i.load(); m.InFlight != 2 || m.Requests != 0 {
		t.Errorf("two in flight: %+v", m)
	}
	second.Done()
	first.Done()
	if m := i.load(); m.InFlight != 0 || m.OldestMS != 0 || m.Requests != 2 {
		t.Errorf("both done: %+v", m)
	}
}

// A stuck request is answered, reported, and does not hold up a drain.
func TestStuckRequestDoesNotHoldUpADrain(t *testing.T) {
	t.Parallel()
	settings := testSettings
	settings.Watch.Timeout, settings.Watch.Status = 50*time.Millisecond, 504
	i := newInside(t, settings)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	ended := i.serve(t, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })})
	resp, err := http.Get(i.socket.url("/stuck"))
	check(t, err)
	resp.Body.Close()
	if resp.StatusCode != 504 {
		t.Errorf("the client got %s", resp.Status)
	}
	if m := i.awaitType(t, wire.Overdue); m.Path != "/stuck" || m.Status != 504 || m.ID == "" || m.Stack == "" {
		t.Errorf("told %+v", m)
	}
	i.drain()
	check(t, within(t, "Serve", ended))
}
