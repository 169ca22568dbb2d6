package worker

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/sockets"
)

var errNoListeners = errors.New("the master handed over no listener (" + wire.EnvListenFDs + " is 0 or missing)")

// Listeners returns the listeners of the master (or of systemd), in its order;
// alone, one on DefaultAddr. Each call returns the same ones; the first call of
// Listeners, Serve or Run decides where a worker alone listens.
//
// When the worker drains, their Accept does not return any more: it waits until
// the listener is closed. So a server goes on with the connections that it has;
// the app learns of the drain from Draining, and closes listeners and server
// when it is done. On a full stop Accept first returns all that is queued; what an
// app leaves in the queue when it closes the last listener is reset. Closing never
// unlinks the path of a Unix socket. The connections they accept are counted for
// the master.
func Listeners() ([]net.Listener, error) { return self().counting() }

// Ready tells the master that the app accepts connections. Serve and Run do this
// themselves. Calls after the first do nothing; alone it does nothing. An error
// means that the process could not attach to its master or that it is gone.
func Ready() error { return self().ready() }

// Draining is closed when the worker is to leave: take nothing new, finish what
// runs, return from main. Whatever the app does, the process is ended when the
// drain limit (worker_kill_timeout) is over.
func Draining() <-chan struct{} {
	w := self()
	w.heedSignals()
	return w.draining
}

// ID is the number of the worker's slot, 1 to N, the same for its successors;
// 0 without a master.
func ID() int { return self().id }

// Generation grows by one with each reload; 0 without a master.
func Generation() int { return self().generation }

func (w *worker) counting() ([]net.Listener, error) {
	gates, err := w.gates(DefaultAddr)
	if err != nil {
		return nil, err
	}
	listeners := make([]net.Listener, len(gates))
	for i, g := range gates {
		listeners[i] = g.Counting()
	}
	return listeners, nil
}

// gates returns the gates, one on addr if there is nobody to hand some over.
func (w *worker) gates(addr string) ([]*sockets.Gate, error) {
	if w.err != nil {
		return nil, w.err
	}
	w.heedSignals() // before it listens: who can connect can also send TERM
	w.taken.once.Do(func() {
		if w.master {
			w.taken.err = errNoListeners
			return
		}
		w.taken.gates, w.taken.err = listenAlone(addr)
		w.shutWhenDraining()
	})
	return w.taken.gates, w.taken.err
}

func listenAlone(addr string) ([]*sockets.Gate, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // as the master's listeners: options would not reach the subflows
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve without a master: %w", err)
	}
	return []*sockets.Gate{sockets.NewGate(ln)}, nil
}

func (w *worker) ready() error {
	if w.err != nil {
		return w.err
	}
	w.readyOnce.Do(func() {
		w.readyErr = w.say(wire.Message{Type: wire.Ready, Commands: w.command >= 0, Shares: w.command >= 0})
	})
	return w.readyErr
}
