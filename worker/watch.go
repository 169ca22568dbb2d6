package worker

import (
	"context"
	"log"
	"strconv"
	"time"

	"github.com/fugue-http/fugue/httpwatch"
	"github.com/fugue-http/fugue/internal/wire"
)

// newWatch makes the watch over requests and tasks, with the limits of the
// master's file. Its incidents go to the master; alone, to the log.
func newWatch(w *worker) *httpwatch.Watch {
	s := w.settings
	opt := httpwatch.Options{
		Timeout: s.Watch.Timeout, Status: s.Watch.Status,
		ReadTimeout: s.HTTP.ReadTimeout, WriteTimeout: s.HTTP.WriteTimeout,
		Overdue: w.overdue, Recovered: w.recovered,
	}
	if opt.Status == 0 {
		opt.Status = httpwatch.NoAnswer
	}
	for _, r := range s.Watch.Routes {
		opt.Routes = append(opt.Routes, httpwatch.Route{Pattern: r.Pattern, Timeout: r.Timeout})
	}
	return httpwatch.New(opt)
}

func (w *worker) overdue(in httpwatch.Incident) {
	select {
	case w.stuck <- struct{}{}:
	default: // a drain that is awake looks at all of them
	}
	if !w.master {
		log.Printf("worker: %s %s has exceeded its timeout after %s\n%s", in.Method, in.Path, in.Age.Round(time.Millisecond), in.Stack)
		return
	}
	_ = w.say(wire.Message{Type: wire.Overdue, ID: incidentID(in.ID), Method: in.Method, Path: in.Path, Remote: in.Remote,
		AgeMS: in.Age.Milliseconds(), Status: in.Status, Stack: in.Stack}) // the master is gone: nobody to tell
}

func (w *worker) recovered(id uint64) {
	if w.master {
		_ = w.say(wire.Message{Type: wire.Recovered, ID: incidentID(id)})
	}
}

// incidentID is unique in this worker; the master adds the pid.
func incidentID(n uint64) string { return strconv.FormatUint(n, 10) }

// onlyStuck says that work is in flight and all of it is stuck.
func (w *worker) onlyStuck() bool {
	s := w.watch.Snapshot()
	return s.InFlight > 0 && s.InFlight == s.Stuck
}

// Task is a unit of work under watch: an RPC, a job, a connection.
type Task = httpwatch.Task

// Begin puts work that is not an HTTP request under watch, with the timeout of
// the master's file: if it exceeds that, an incident is reported with the stack
// of the goroutine that called Begin, and if it does not end within the grace
// the worker is replaced. label names it. The same goroutine calls Done.
//
// Serve and Run with an *http.Server watch HTTP requests by themselves.
func Begin(label string) *Task { return BeginContext(context.Background(), label) }

// BeginContext is Begin for work that has a context already: the task's Context has
// ctx for its parent, so that it also ends with ctx.
func BeginContext(ctx context.Context, label string) *Task { return self().watch.Begin(ctx, label) }
