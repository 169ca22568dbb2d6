package sockets

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const gateLimit = 10 * time.Second // failure bound; a passing test waits for events only

type accepted struct {
	conn net.Conn
	err  error
}

func acceptIn(l net.Listener) <-chan accepted {
	got := make(chan accepted, 1)
	go func() {
		c, err := l.Accept()
		got <- accepted{c, err}
	}()
	return got
}

func within[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(gateLimit):
		t.Fatalf("%s: nothing within %v", what, gateLimit)
	}
	return v
}

func gateOn(t *testing.T, network, address string) *Gate {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(ln)
	t.Cleanup(func() { g.Close() })
	return g
}

func dialGate(t *testing.T, g *Gate) net.Conn {
	t.Helper()
	c, err := net.Dial(g.Addr().Network(), g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestGateParksAcceptUntilClosed(t *testing.T) {
	t.Parallel()
	unix := filepath.Join(t.TempDir(), "s")
	for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", unix}} {
		g := gateOn(t, at[0], at[1])
		got := acceptIn(g)
		g.Shut(nil)
		within(t, "park", g.Parked())
		select {
		case a := <-got:
			t.Fatalf("%s: Accept returned (%v) behind the shut gate", at[0], a.err)
		default:
		}
		g.Close()
		if a := within(t, "return", got); !errors.Is(a.err, net.ErrClosed) {
			t.Errorf("%s: Accept = %v, want net.ErrClosed", at[0], a.err)
		}
	}
	if _, err := os.Lstat(unix); err != nil {
		t.Errorf("the gate unlinked the path of its socket: %v", err)
	}
}

func TestGateForwardsConnectionsUnwrapped(t *testing.T) {
	t.Parallel()
	g := gateOn(t, "tcp", "127.0.0.1:0")
	dialGate(t, g)
	a := within(t, "accept", acceptIn(g))
	if _, ok := a.conn.(*net.TCPConn); !ok {
		t.Errorf("connection is a %T, net/http wants a *net.TCPConn for sendfile", a.conn)
	}
	a.conn.Close()
}

// What the kernel had already handed over when the gate shut is served.
func TestGateKeepsAConnectionAcceptedAsItShuts(t *testing.T) {
	t.Parallel()
	slow := &slowListener{accepted: make(chan struct{}), proceed: make(chan struct{})}
	g := NewGate(slow)
	got := acceptIn(g.Counting())
	within(t, "accept", slow.accepted)
	g.Shut(nil)
	if isClosed(g.Quiet()) {
		t.Error("quiet, though a connection is on its way")
	}
	close(slow.proceed)
	a := within(t, "connection", got)
	if a.err != nil {
		t.Fatal(a.err)
	}
	if g.Open() != 1 || isClosed(g.Quiet()) {
		t.Errorf("open %d, quiet %v; the connection is held", g.Open(), isClosed(g.Quiet()))
	}
	a.conn.Close()
	a.conn.Close() // twice counts once
	within(t, "quiet", g.Quiet())
	if g.Open() != 0 {
		t.Errorf("open %d after Close", g.Open())
	}
	g.Close()
}

// slowListener has a connection in hand and returns it only when told.
type slowListener struct{ accepted, proceed chan struct{} }

func (l *slowListener) Accept() (net.Conn, error) {
	close(l.accepted)
	<-l.proceed
	_, ours := net.Pipe()
	return ours, nil
}
func (l *slowListener) Close() error   { return nil }
func (l *slowListener) Addr() net.Addr { return &net.UnixAddr{} }

func TestGateCountsConnectionsAndKeepsTheirMethods(t *testing.T) {
	t.Parallel()
	for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", filepath.Join(t.TempDir(), "s")}} {
		g := gateOn(t, at[0], at[1])
		dialGate(t, g)
		a := within(t, "accept", acceptIn(g.Counting()))
		if _, ok := a.conn.(interface{ CloseWrite() error }); !ok {
			t.Errorf("%s: no CloseWrite", at[0])
		}
		if _, ok := a.conn.(io.ReaderFrom); !ok && at[0] == "tcp" {
			t.Errorf("%s: no ReadFrom", at[0])
		}
		if g.Open() != 1 {
			t.Errorf("%s: open %d, want 1", at[0], g.Open())
		}
		a.conn.Close()
		g.Shut(nil)
		within(t, "quiet", g.Quiet())
	}
}

// The client is connected, whether Accept was called by then or not.
func TestGateLetsInWhatIsQueuedBeforeItShuts(t *testing.T) {
	t.Parallel()
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ln := &watchedListener{TCPListener: tcp, looked: make(chan struct{}, 1)}
	g := NewGate(ln)
	t.Cleanup(func() { g.Close() })
	g.queueTime = gateLimit // the machine may be slow
	dialGate(t, g)
	dialGate(t, g)
	shut := make(chan struct{})
	go func() {
		defer close(shut)
		g.Shut(nil)
	}()
	within(t, "look at the queue", ln.looked) // from here on Shut waits for these
	for range 2 {
		a := within(t, "queued connection", acceptIn(g))
		if a.err != nil {
			t.Fatal(a.err)
		}
		a.conn.Close()
	}
	within(t, "shut", shut)
}

// A full stop: nobody else will serve the queue, and a server may need long for
// each connection.
func TestTheLastGateShutsWhenTheQueueIsEmpty(t *testing.T) {
	t.Parallel()
	for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", filepath.Join(t.TempDir(), "s")}} {
		g := gateOn(t, at[0], at[1])
		g.queueTime = 0 // does not count
		const queued = 16
		for range queued {
			dialGate(t, g)
		}
		shut := shutIn(g, closed)
		for range queued {
			if isClosed(shut) {
				t.Fatalf("%s: shut before its queue was empty", at[0])
			}
			a := within(t, "queued connection", acceptIn(g))
			if a.err != nil {
				t.Fatal(a.err)
			}
			a.conn.Close()
		}
		within(t, "shut", shut)
	}
}

// closed is a channel that is.
var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func shutIn(g *Gate, last <-chan struct{}, over ...<-chan struct{}) <-chan struct{} {
	shut := make(chan struct{})
	go func() {
		defer close(shut)
		g.Shut(last, over...)
	}()
	return shut
}

func TestAGateDoesNotWaitForItsQueueForEver(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		queueTime  time.Duration
		last, over <-chan struct{}
	}{
		{"others serve the queue", time.Millisecond, nil, nil},
		{"the drain is over", time.Hour, nil, closed},
		{"the drain of the last is over", 0, closed, closed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := gateOn(t, "tcp", "127.0.0.1:0")
			g.queueTime = tc.queueTime
			dialGate(t, g)
			within(t, "shut", shutIn(g, tc.last, nil, tc.over))
		})
	}
}

// Clients that connect faster than the server accepts do not keep it for ever.
func TestTheLastGateLeavesLateComersOut(t *testing.T) {
	t.Parallel()
	if _, _, err := queueOf(-1); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the length of the queue is not known here")
	}
	g := gateOn(t, "tcp", "127.0.0.1:0")
	dialGate(t, g)
	shut := shutIn(g, closed)
	for end := time.Now().Add(gateLimit); !isClosed(shut); {
		if time.Now().After(end) {
			t.Fatal("not shut as long as clients come")
		}
		c, err := net.Dial("tcp", g.Addr().String()) // so the queue is never empty
		if err != nil {
			break // it has just been shut
		}
		defer c.Close()
		select {
		case a := <-acceptIn(g):
			if a.err == nil {
				a.conn.Close()
			}
		case <-shut:
		}
	}
	within(t, "shut", shut)
}

// watchedListener tells when it is asked for its queue.
type watchedListener struct {
	*net.TCPListener
	looked chan struct{}
}

func (l *watchedListener) SyscallConn() (syscall.RawConn, error) {
	select {
	case l.looked <- struct{}{}:
	default:
	}
	return l.TCPListener.SyscallConn()
}

func TestGateHandsOnAcceptErrors(t *testing.T) {
	t.Parallel()
	g := NewGate(failingListener{})
	if _, err := g.Accept(); !errors.Is(err, errAccept) {
		t.Errorf("Accept = %v, want the listener's error", err)
	}
}

var errAccept = errors.New("no more descriptors")

type failingListener struct{ net.Listener }

func (failingListener) Accept() (net.Conn, error) { return nil, errAccept }

// The reason for the gate: net/http neither fails nor spins, and still answers.
func TestGateKeepsAnHTTPServerServing(t *testing.T) {
	t.Parallel()
	g := gateOn(t, "tcp", "127.0.0.1:0")
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "ok")
	})}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(g) }()

	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 2 {
		resp, err := client.Get("http://" + g.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		g.Shut(nil) // the second request goes over the first one's connection
		within(t, "park", g.Parked())
	}
	srv.Close()
	if err := within(t, "Serve", ended); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve = %v", err)
	}
}
