package worker

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
)

// heedSignals starts the goroutine that answers signals; it ends with the
// process. A worker alone heeds them only once it serves.
func (w *worker) heedSignals() {
	w.signalsOnce.Do(func() {
		signals := make(chan os.Signal, 8)
		meaning := w.signalAlone
		caught := []os.Signal{unix.SIGQUIT, unix.SIGTERM, unix.SIGINT}
		if w.master {
			caught = append(caught, unix.SIGUSR1)
			meaning = w.signalUnderMaster
		}
		signal.Notify(signals, caught...)
		go func() {
			for s := range signals {
				meaning(s)
			}
		}()
	})
}

// signalUnderMaster is what a signal means to a worker that has a master.
func (w *worker) signalUnderMaster(s os.Signal) {
	switch s {
	case unix.SIGQUIT:
		// Said before it is done: an idle worker may be gone right after.
		_ = w.say(wire.Message{Type: wire.Draining})
		w.drain()
	case unix.SIGTERM, unix.SIGINT:
		w.stop()
	case unix.SIGUSR1:
		// The master opens the files: this process's user may have no right to.
		_ = w.say(wire.Message{Type: wire.Reopen})
	}
}

// signalAlone: the first signal drains, the second stops, as Ctrl-C twice does.
func (w *worker) signalAlone(os.Signal) {
	if isClosed(w.draining) {
		w.stop()
		return
	}
	if len(w.listeners) == 0 { // it opened its own; those of systemd stay open without it
		w.becomeLast()
	}
	w.drain()
}
