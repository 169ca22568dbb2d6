package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/fugue-http/fugue/httpwatch"
	"github.com/fugue-http/fugue/sockets"
)

const (
	// orphanLinger bounds linger once the master is gone, so that an idle worker
	// has left well within the second in which the port must be free.
	orphanLinger = 500 * time.Millisecond
	// lookAgain is the time until a connection is asked again that could not be
	// closed yet, or that tells nothing of its end (hijacked, HTTP/2).
	lookAgain = 50 * time.Millisecond
	// closeAtOnce is how many connections one sweep closes, about 2 ms of work
	// during which requests wait for the table.
	closeAtOnce = 256
)

// errDrainLimit is what Serve and Run return when the drain took too long.
var errDrainLimit = errors.New("drain: limit reached, what was left is cut")

// drainHTTP leaves without losing a request. http.Server.Shutdown is not used
// for that: it drops a request that has just been read, about one for each
// worker that is replaced (golang/go#75591, #65802).
//
// The gate is shut by now, or about to be: the last worker lets in all that is
// queued first. The server runs on, and each answer says `Connection: close`. Connections at rest get linger to send one more request.
// It returns nil when no connection is left that waits for something: requests
// that were overdue have been answered, and nobody waits for their handlers. The
// caller closes the server.
func (w *worker) drainHTTP(srv *http.Server, gates []*sockets.Gate) error {
	since, linger, orphaned := time.Now(), w.settings.HTTP.Linger, w.orphaned
	if err := w.awaitParked(gates); err != nil {
		return err
	}
	shutdown := stopHTTP2(srv)
	defer shutdown.cancel()
	for {
		rest := w.conns.sweep(time.Now(), since, linger)
		if rest.left == 0 {
			return nil
		}
		if rest.onlyHTTP2 {
			shutdown.start()
		}
		select {
		case <-w.conns.empty:
		case <-w.stuck:
		case <-time.After(rest.again):
		case <-orphaned:
			orphaned, linger = nil, min(linger, orphanLinger)
		case <-w.expired:
			return fmt.Errorf("%w: %d connections", errDrainLimit, rest.left)
		case <-w.stopping:
			return nil
		}
	}
}

// awaitParked waits until each server loop is back in Accept behind its shut
// gate: then the table knows each connection that was accepted. Of the last worker
// that may take as long as it serves what was queued.
func (w *worker) awaitParked(gates []*sockets.Gate) error {
	for _, g := range gates {
		select {
		case <-g.Parked():
		case <-w.expired:
			return fmt.Errorf("%w: the server does not accept", errDrainLimit)
		case <-w.stopping:
		}
	}
	return nil
}

// rest is what a sweep has left.
type rest struct {
	left      int           // connections, hijacked ones included, those that carry only stuck requests not
	onlyHTTP2 bool          // none of HTTP/1 among them, hijacked ones aside
	again     time.Duration // when to sweep again at the latest
}

// sweep closes the HTTP/1 connections that have rested for linger, counted from
// the begin of the drain at the earliest. HTTP/2 ones are told to go otherwise.
func (t *conns) sweep(now, begin time.Time, linger time.Duration) rest {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetClosedLocked()
	r := rest{left: len(t.hijacked), onlyHTTP2: len(t.open) > 0}
	r.again = max(linger, time.Millisecond) // what comes to rest from now on is due no sooner
	if len(t.hijacked) > 0 {
		r.again = min(r.again, lookAgain)
	}
	budget := closeAtOnce
	for _, c := range t.open {
		if httpwatch.OnlyStuck(c.watched) {
			r.again = min(r.again, lookAgain) // it keeps the table from ever being empty
		} else {
			r.left++
		}
		r.onlyHTTP2 = r.onlyHTTP2 && c.http2
		r.again = min(r.again, c.settle(now, begin, linger, &budget))
	}
	return r
}

// settle closes c if its time has come, and says when to ask again.
func (c *conn) settle(now, begin time.Time, linger time.Duration, budget *int) (again time.Duration) {
	if c.http2 {
		return lookAgain
	}
	if !c.resting || c.closing {
		return time.Hour
	}
	if begin.After(c.since) {
		c.since = begin
	}
	wait := c.since.Add(linger).Sub(now)
	if wait > 0 {
		return wait
	}
	if *budget == 0 {
		return time.Millisecond
	}
	*budget--
	return c.close()
}

// close closes c unless a request has arrived on it; then it says when to ask
// again. A request that is still on its way is lost, as with any server that
// ends an idle connection; that is what linger is for.
func (c *conn) close() (again time.Duration) {
	if hasUnread(c.net) {
		return lookAgain
	}
	c.closing = true
	if _, ok := c.net.(*tls.Conn); ok {
		go c.net.Close() // says goodbye first, which may wait for the peer
	} else {
		c.net.Close()
	}
	return time.Hour // the table tells when the last one has left
}

// http2Stop tells HTTP/2 clients to go (GOAWAY), which net/http does in Shutdown
// only. It is started when no HTTP/1 connection is there to be hurt by it.
type http2Stop struct {
	start  func()
	cancel context.CancelFunc
}

func stopHTTP2(srv *http.Server) http2Stop {
	ctx, cancel := context.WithCancel(context.Background())
	started := false
	start := func() {
		if !started {
			started = true
			go srv.Shutdown(ctx) // ends with the drain; the table tells the result
		}
	}
	return http2Stop{start, cancel}
}
