package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
)

// The test has no part in the queue: it closes its own descriptor, as a master
// does that ends. What the last close finds in the queue is reset.
func TestTheLastWorkersServeWhatIsQueued(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*child){
		"full stop":   func(c *child) { c.drainLast(t) },
		"master gone": func(c *child) { c.cut() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, letGo := ownSocket(t)
			workers := []*child{spawn(t, start{helper: "single", socket: &s}), spawn(t, start{helper: "single", socket: &s})}
			for _, c := range workers {
				c.awaitType(t, wire.Ready)
			}
			clients := queue(t, s, 16)
			letGo()
			for _, c := range workers {
				leave(c)
			}
			for i, c := range clients {
				if _, err := c.Read(make([]byte, 1)); err != nil {
					t.Errorf("client %d of %d: %v", i+1, len(clients), err)
				}
			}
			for _, c := range workers {
				c.awaitExit(t, 0)
			}
		})
	}
}

// ownSocket is newSocket for a test that closes it, once.
func ownSocket(t *testing.T) (s socket, letGo func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer ln.Close()
	s = socket{fd: rawDup(t, ln.(syscall.Conn)), addr: ln.Addr().String()}
	letGo = sync.OnceFunc(func() { unix.Close(s.fd) })
	t.Cleanup(letGo)
	return s, letGo
}

// queue returns n clients that have connected and sent a byte.
func queue(t *testing.T, s socket, n int) (clients []net.Conn) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", s.addr)
		check(t, err)
		t.Cleanup(func() { c.Close() })
		check(t, c.SetDeadline(time.Now().Add(limit)))
		_, err = c.Write([]byte("x"))
		check(t, err)
		clients = append(clients, c)
	}
	return clients
}

func TestWhoIsTheLast(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		want bool
		in   inheritance
		do   func(*worker)
	}{
		{"drain", false, inheritance{master: true}, func(w *worker) { w.carryOut([]byte(`{"type":"drain"}`), &mailbag{}) }},
		{"last drain", true, inheritance{master: true}, func(w *worker) { w.carryOut([]byte(`{"type":"drain","last":true}`), &mailbag{}) }},
		// As when a supervisor signals master and workers at once.
		{"drain, then the last", true, inheritance{master: true}, func(w *worker) {
			w.carryOut([]byte(`{"type":"drain"}`), &mailbag{})
			w.carryOut([]byte(`{"type":"drain","last":true}`), &mailbag{})
		}},
		{"stop", false, inheritance{master: true}, (*worker).stop},
		{"orphan", true, inheritance{master: true}, (*worker).orphan},
		{"own signal", false, inheritance{master: true}, func(w *worker) { w.signalUnderMaster(unix.SIGQUIT) }},
		{"alone", true, inheritance{}, func(w *worker) { w.signalAlone(unix.SIGTERM) }},
		{"alone under systemd", false, inheritance{listeners: []int{3}}, func(w *worker) { w.signalAlone(unix.SIGTERM) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.in.pipe, tc.in.command, tc.in.settings = -1, -1, testSettings
			w := newWorker(tc.in, func(int) {})
			tc.do(w)
			if !isClosed(w.draining) || isClosed(w.last) != tc.want {
				t.Errorf("draining %v, last %v, want %v", isClosed(w.draining), isClosed(w.last), tc.want)
			}
		})
	}
}

// A queue that is never served ends a drain no later than anything else does.
func TestTheQueueDoesNotHoldUpTheEndOfADrain(t *testing.T) {
	t.Parallel()
	short := testSettings
	short.DrainLimit = 20 * time.Millisecond
	for _, tc := range []struct {
		name     string
		settings wire.Settings
		end      func(*inside)
		want     error
	}{
		{"limit", short, func(*inside) {}, errDrainLimit},
		{"stop", testSettings, func(i *inside) { i.command(t, wire.CommandStop) }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			i := newInside(t, tc.settings)
			serving, release := make(chan struct{}), make(chan struct{})
			t.Cleanup(func() { close(release) })
			ended := i.serve(t, singleServer(func(net.Conn) { close(serving); <-release }))
			queue(t, i.socket, 2) // one more than is ever served
			within(t, "the first connection", serving)
			i.drainLast(t)
			within(t, "drain", i.draining)
			tc.end(i)
			if err := within(t, "Run", ended); !errors.Is(err, tc.want) {
				t.Errorf("Run = %v, want %v", err, tc.want)
			}
		})
	}
}

// The server is held up in its accept loop, so that the queue cannot empty.
func TestAnswersSayCloseWhileTheQueueIsServed(t *testing.T) {
	t.Parallel()
	i := newInside(t, testSettings)
	held, release, n := make(chan struct{}), make(chan struct{}), 0
	ended := i.serve(t, &http.Server{
		Handler: http.HandlerFunc(echo),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			if n++; n == 2 { // all calls come from the accept loop
				close(held)
				<-release
			}
			return ctx
		},
	})
	c := keepAlive(t)
	c.get(t, i.socket.url("/"))
	queued := queue(t, i.socket, 3)
	within(t, "the second connection", held)
	i.drainLast(t)
	within(t, "drain", i.draining)
	if resp, _ := c.do(t, i.socket.url("/")); !resp.Close {
		t.Error("no Connection: close while the queue waits")
	}
	close(release)
	for n, c := range queued {
		fmt.Fprint(c, " / HTTP/1.1\r\nHost: x\r\n\r\n") // the method is an x
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK || !resp.Close {
			t.Errorf("queued request %d: %+v, %v", n+1, resp, err)
		}
	}
	check(t, within(t, "Serve", ended))
}
