package master

import (
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	linesWaiting = 1024        // of the master's log, before more are dropped
	bytesWaiting = 4 << 20     // the same: a line with a stack may have 32 KiB
	flushLimit   = time.Second // how long the end waits for them to be written
)

// lineWriter hands lines to a goroutine that writes them, so that a full disk, a
// pipe that nobody reads or a hung file system never stops the master. What
// does not fit is dropped and counted.
type lineWriter struct {
	lines chan []byte
	done  chan struct{}
	lost  atomic.Uint64
	bytes atomic.Int64 // waiting
}

// newLineWriter starts the writing goroutine. It ends when close is called; it
// is left behind if the last write never returns.
func newLineWriter(to io.Writer) *lineWriter {
	w := &lineWriter{lines: make(chan []byte, linesWaiting), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		writeFromBackground()
		for line := range w.lines {
			if n, err := to.Write(line); err != nil || n < len(line) {
				w.lost.Add(1)
			}
			w.bytes.Add(-int64(len(line)))
		}
	}()
	return w
}

// Write takes one line; slog calls it once for each record. It never blocks and
// never fails.
func (w *lineWriter) Write(line []byte) (int, error) {
	if w.bytes.Add(int64(len(line))) <= bytesWaiting {
		select {
		case w.lines <- append([]byte(nil), line...):
			return len(line), nil
		default:
		}
	}
	w.bytes.Add(-int64(len(line)))
	w.lost.Add(1)
	return len(line), nil
}

// close waits for what was written before, within a limit.
func (w *lineWriter) close() {
	close(w.lines)
	select {
	case <-w.done:
	case <-time.After(flushLimit):
	}
}

func newLogger(set logSettings, to io.Writer) *slog.Logger {
	opt := &slog.HandlerOptions{Level: slog.LevelInfo}
	if set.Verbose {
		opt.Level = slog.LevelDebug
	}
	if set.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, opt))
	}
	return slog.New(slog.NewTextHandler(to, opt))
}
