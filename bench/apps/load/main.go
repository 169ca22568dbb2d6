// Load asks a server as fast as it answers (closed loop), or at a fixed rate (open
// loop: a request that is late because the one before it was slow counts from when
// it was due). It does what wrk cannot: Unix sockets, fixed rates, connections that
// are opened one after the other, and a count of who answered.
//
// It is one thread and one epoll, on system calls alone: a generator that is slower
// than the server measures itself. The result is one line of JSON on stdout.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

type options struct {
	address string        // host:port or unix:/path
	path    string        // of the request
	conns   int           // connections at a time
	close   bool          // one connection for each request
	rate    float64       // requests per second, 0 = closed loop
	length  time.Duration // how long
	stagger time.Duration // between two connections that are opened
}

// Result is what one run found. Times are microseconds.
type Result struct {
	Requests int64            `json:"requests"`
	Errors   int64            `json:"errors"`
	Error    string           `json:"error,omitempty"` // the first one
	Seconds  float64          `json:"seconds"`
	Rate     float64          `json:"rate"`
	P50      int64            `json:"p50"`
	P99      int64            `json:"p99"`
	P999     int64            `json:"p999"`
	Max      int64            `json:"max"`
	Who      map[string]int64 `json:"who"` // answers by body, if that is short
}

func main() {
	var o options
	flag.StringVar(&o.address, "address", "", "host:port or unix:/path")
	flag.StringVar(&o.path, "path", "/", "what to ask for")
	flag.IntVar(&o.conns, "c", 64, "connections at a time")
	flag.BoolVar(&o.close, "close", false, "one connection for each request")
	flag.Float64Var(&o.rate, "rate", 0, "requests per second; 0 is as many as are answered")
	flag.DurationVar(&o.length, "d", 2*time.Second, "how long")
	flag.DurationVar(&o.stagger, "stagger", 0, "open the connections one by one, so far apart; they are counted from when all are open")
	flag.Parse()
	runtime.LockOSThread()
	result, err := run(o)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(o options) (Result, error) {
	e, err := newEngine(o)
	if err != nil {
		return Result{}, err
	}
	began := time.Now()
	if err := e.loop(began); err != nil {
		return Result{}, err
	}
	r := Result{Requests: e.answered, Errors: e.failed, Error: e.firstError, Who: e.who}
	r.Seconds = time.Since(e.counted).Seconds()
	r.Rate = float64(r.Requests) / r.Seconds
	r.fill(e.times)
	return r, nil
}

func (r *Result) fill(h *hdrhistogram.Histogram) {
	r.P50, r.P99 = h.ValueAtQuantile(50), h.ValueAtQuantile(99)
	r.P999, r.Max = h.ValueAtQuantile(99.9), h.Max()
}
