package worker

import (
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fugue-http/fugue/httpwatch"
	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/sockets"
)

// exitGrace is how long main may take to return once it has nothing left to do.
const exitGrace = time.Second

// worker is this process, with or without a master.
type worker struct {
	inheritance
	err  error     // why it could not attach; whoever wants to serve is told
	exit func(int) // os.Exit, but for tests

	seat  *sockets.Seat    // among the workers that accept from the same listeners
	conns *conns           // HTTP connections
	watch *httpwatch.Watch // requests and tasks
	stuck chan struct{}    // has an element when one more is stuck; wakes a drain
	taken taken            // listeners

	// The state of a worker is which of these are closed. Each is closed once
	// and stays closed; drain, becomeLast, orphan and stop are the only ones to
	// do it.
	draining chan struct{} // take no more connections, finish what runs
	last     chan struct{} // nobody else will serve the queues of the listeners: they come first
	orphaned chan struct{} // the master is gone; last and draining are closed too
	expired  chan struct{} // the drain has taken too long
	stopping chan struct{} // leave now; draining is closed too

	drainOnce, lastOnce, orphanOnce, stopOnce, signalsOnce, readyOnce sync.Once
	readyErr                                                          error

	serving atomic.Bool // Serve or Run was called
	left    atomic.Bool // Serve or Run has returned nil

	words  chan word     // to the goroutine that owns the pipe
	silent chan struct{} // closed when that goroutine has ended
}

// taken are the gates in front of the listeners. The first who asks takes them.
type taken struct {
	once  sync.Once
	gates []*sockets.Gate
	err   error
}

// self is the worker of this process, attached at the first use.
var self = sync.OnceValue(func() *worker {
	in, err := inherit(os.Getenv, os.Getpid())
	private := slices.Clone(wire.WorkerEnv)
	if in.master { // otherwise they are the supervisor's
		private = append(private, wire.EnvNotify, wire.EnvWatchdog)
	}
	for _, name := range private {
		os.Unsetenv(name)
	}
	w := newWorker(in, os.Exit)
	w.attach(err)
	if w.master {
		w.heedSignals()
	}
	return w
})

func newWorker(in inheritance, exit func(int)) *worker {
	seat := sockets.NewSeat()
	w := &worker{
		inheritance: in,
		exit:        exit,
		seat:        seat,
		conns:       newConns(seat),
		draining:    make(chan struct{}),
		last:        make(chan struct{}),
		orphaned:    make(chan struct{}),
		expired:     make(chan struct{}),
		stopping:    make(chan struct{}),
		words:       make(chan word),
		silent:      make(chan struct{}),
		stuck:       make(chan struct{}, 1),
	}
	w.watch = newWatch(w)
	return w
}

// attach takes charge of the inherited descriptors and starts the goroutines
// that own them. inheritErr is what inherit said.
func (w *worker) attach(inheritErr error) {
	w.closeOnExec()
	w.err = inheritErr
	if len(w.listeners) > 0 {
		w.takeInherited()
	}
	if w.pipe >= 0 {
		go w.beat(w.pipe)
	}
	if w.command >= 0 && w.err == nil {
		w.takeCommandSocket()
	}
}

func (w *worker) takeInherited() {
	w.taken.once.Do(func() {
		w.taken.gates, w.taken.err = w.takeListeners(w.seat)
		w.shutWhenDraining()
	})
	if w.err == nil {
		w.err = w.taken.err
	}
}

func (w *worker) takeCommandSocket() {
	var c *net.UnixConn
	if c, w.err = takeCommands(w.command); w.err == nil {
		go w.obey(c)
	}
}

// shutWhenDraining starts one goroutine a gate, which ends with the drain.
func (w *worker) shutWhenDraining() {
	for _, g := range w.taken.gates {
		go func() {
			<-w.draining
			w.seat.Rise()
			g.Shut(w.last, w.expired, w.stopping)
		}()
	}
}

// drain stops accepting and lets what runs finish.
func (w *worker) drain() {
	w.drainOnce.Do(func() {
		w.watch.Closing()
		close(w.draining)
		go w.enforce()
	})
}

// becomeLast has a drain, one under way too, serve what is queued first. It comes
// before drain, or the gates might be shut by then.
func (w *worker) becomeLast() {
	w.lastOnce.Do(func() { close(w.last) })
}

// orphan drains because the master is gone: nobody else will end this process,
// and nobody will start another on these listeners. The siblings are orphans, too;
// that each thinks it is the last only means that they share the queue.
func (w *worker) orphan() {
	w.orphanOnce.Do(func() {
		close(w.orphaned)
		w.becomeLast()
		w.drain()
	})
}

// stop leaves at once. What does not is ended.
func (w *worker) stop() {
	w.stopOnce.Do(func() {
		close(w.stopping)
		w.drain()
		time.AfterFunc(exitGrace, func() { w.exit(0) })
	})
}

// enforce sees to it that a drain ends: at the limit Serve cuts what is left and
// returns an error, and soon after the process goes, even if main hangs. Only an
// app that has a master or a user to end it may take its time after Serve has
// returned nil. It ends with the process, or after the limit.
func (w *worker) enforce() {
	time.Sleep(w.settings.DrainLimit)
	close(w.expired)
	time.Sleep(exitGrace)
	if isClosed(w.orphaned) || !w.left.Load() {
		w.exit(1)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
