package httpwatch

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// ErrTimeout is the cause (context.Cause) that the context of a request has
// been cancelled with when the request exceeded its limit.
var ErrTimeout = errors.New("httpwatch: the request has exceeded its timeout")

// NoAnswer as Options.Status has the connection of an overdue request cut
// without an answer, as Unicorn does.
const NoAnswer = -1

// Options say what is watched. The zero value watches without any limit.
//
// Grace is what the keeper of the process goes by; the watch itself acts on
// nothing but the timeout, and only keeps the number.
type Options struct {
	Timeout time.Duration // longest a request may take; 0 = no limit
	Grace   time.Duration // what an overdue request gets on top before its process is replaced
	Status  int           // of the answer to an overdue request; 0 = 504, NoAnswer = none
	Routes  []Route       // limits for some requests; a pattern is used as http.ServeMux would

	// Longest a handler may wait for one byte of progress from the client: when
	// it reads the body, and when it writes the response. 0 = no limit.
	ReadTimeout, WriteTimeout time.Duration

	// Overdue is called once for each incident, in order, from one goroutine, after
	// the client was dealt with and Snapshot.Stuck and OnlyStuck say so; up to a
	// second later when many are overdue, for the stacks. Recovered is called with
	// its id when the handler has returned after all, never before Overdue.
	Overdue   func(Incident)
	Recovered func(id uint64)
}

// Route is a limit for the requests that a pattern of http.ServeMux matches
// ("/reports/", "POST /upload").
type Route struct {
	Pattern string
	Timeout time.Duration // 0 = no limit
}

// Incident is a request, or a Task, that exceeded its limit.
type Incident struct {
	ID     uint64 // unique in this process
	Method string // "" for a Task
	Path   string // without the query, or the label of a Task
	Remote string
	At     time.Time     // when it was found
	Age    time.Duration // at that moment, time waited for the client included
	Status int           // what the client was answered; 0 = the connection was cut, or nothing was to be answered
	Stack  string        // of its goroutine and of those it started; "" if it ended meanwhile
}

// Snapshot is what a Watch knows at one moment. Counters grow from the start.
type Snapshot struct {
	InFlight int           // requests and tasks whose handlers run
	Stuck    int           // of these, overdue ones: answered or cut, but their handlers run on
	Oldest   time.Duration // age of the oldest that has a limit or may yet get one
	Due      time.Duration // until the next limit is reached; negative if there is none

	Requests    uint64 // finished
	TimedOut    uint64 // exceeded their limit
	SlowClients uint64 // connections closed because the client made no progress
	Hijacked    uint64 // connections taken over by their handlers
}

// Watch is the table of all requests of the handlers it made. Its methods may
// be called concurrently.
type Watch struct {
	opt    Options
	table  table
	routes *http.ServeMux // nil without routes
	clerk  clerk
	base   time.Time // what the watch's clock counts from

	closing     atomic.Bool // answers say Connection: close
	timedOut    atomic.Uint64
	slowClients atomic.Uint64
	hijacked    atomic.Uint64
}

// New returns a Watch. It panics if the pattern of a route is not valid, or two
// conflict, as http.ServeMux does.
func New(opt Options) *Watch {
	if opt.Status == 0 {
		opt.Status = http.StatusGatewayTimeout
	}
	w := &Watch{opt: opt, base: time.Now()}
	w.table.init(w)
	w.clerk.watch, w.clerk.pause = w, dumpPause
	if len(opt.Routes) > 0 {
		w.routes = http.NewServeMux()
		for _, r := range opt.Routes {
			w.routes.Handle(r.Pattern, limit(r.Timeout))
		}
	}
	return w
}

// limit is a route's timeout in the shape that a ServeMux can find.
type limit time.Duration

func (limit) ServeHTTP(http.ResponseWriter, *http.Request) {}

// limitOf is the timeout of r.
func (w *Watch) limitOf(r *http.Request) time.Duration {
	if w.routes != nil {
		if h, pattern := w.routes.Handler(r); pattern != "" {
			if l, ok := h.(limit); ok {
				return time.Duration(l)
			}
		}
	}
	return w.opt.Timeout
}

// Closing has each answer from now on ask the client to close its connection
// (HTTP/1 `Connection: close`, HTTP/2 GOAWAY), for a server that drains.
func (w *Watch) Closing() { w.closing.Store(true) }

// Snapshot returns the state of the table. It does not scan the requests.
func (w *Watch) Snapshot() Snapshot {
	s := w.table.snapshot()
	s.TimedOut, s.SlowClients, s.Hijacked = w.timedOut.Load(), w.slowClients.Load(), w.hijacked.Load()
	return s
}

func (w *Watch) now() int64 { return int64(time.Since(w.base)) }
