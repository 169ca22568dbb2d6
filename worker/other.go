package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/fugue-http/fugue/sockets"
)

// runOther runs a server that is not net/http's.
func (w *worker) runOther(srv Server, gates []*sockets.Gate, o options) error {
	if err := w.begin(o); err != nil {
		return err
	}
	ended := serveEach(gates, func(g *sockets.Gate) error { return srv.Serve(g.Counting()) })
	defer closeAll(srv, gates)
	select {
	case err := <-ended:
		return err
	case <-w.draining:
		return w.drainOther(srv, gates)
	}
}

// drainOther waits until srv has finished. Its gates are shut by now, or when the
// queue of the last worker is served.
func (w *worker) drainOther(srv Server, gates []*sockets.Gate) error {
	if err := w.awaitParked(gates); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	finished := finish(ctx, srv, gates)
	var stuck time.Time // since when nothing else has been there
	for {
		select {
		case err := <-finished:
			return err
		case <-w.stuck:
		case <-time.After(lookAgain):
		case <-w.expired:
			return fmt.Errorf("%w: %T", errDrainLimit, srv)
		case <-w.stopping:
			return nil
		}
		switch now := time.Now(); {
		case !w.onlyStuck():
			stuck = time.Time{}
		case stuck.IsZero():
			stuck = now
		case now.Sub(stuck) >= stuckAlone:
			return nil // nobody waits for these any more
		}
	}
}

// stuckAlone is how long the stuck work must have been all there is: between two
// calls of a client whose connection lives on it is so, too, and its server needs a
// moment to tell the client to go.
const stuckAlone = time.Second

// finish tells when srv has finished its connections. The goroutine ends then;
// if it never does, with the process, which leaves at the drain limit.
func finish(ctx context.Context, srv Server, gates []*sockets.Gate) <-chan error {
	done := make(chan error, 1)
	go func() {
		switch s := srv.(type) {
		case interface{ GracefulStop() }: // grpc
			s.GracefulStop()
			done <- nil
		case interface{ Shutdown(context.Context) error }:
			done <- s.Shutdown(ctx)
		case interface{ Shutdown() error }: // fasthttp
			done <- s.Shutdown()
		default:
			done <- finishPlain(gates)
		}
	}()
	return done
}

// finishPlain lets Serve return and waits for the connections.
func finishPlain(gates []*sockets.Gate) error {
	for _, g := range gates {
		g.Close()
		<-g.Quiet()
	}
	return nil
}

// closeAll ends srv at once, and lets every Accept return.
func closeAll(srv Server, gates []*sockets.Gate) {
	switch s := srv.(type) {
	case interface{ Stop() }: // grpc
		s.Stop()
	case interface{ Close() error }:
		s.Close()
	}
	for _, g := range gates {
		g.Close()
	}
}
