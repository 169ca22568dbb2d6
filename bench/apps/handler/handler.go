// Package handler is what every Go server of the benchmark serves, so that only
// the servers differ.
package handler

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// Big is the body of /big.
var Big = make([]byte, 1<<20)

// Work is how long /cpu computes.
const Work = 10 * time.Millisecond

// New returns the handler: / says hello and which process says it, /big is 1 MiB,
// /cpu takes 10 ms of the processor.
func New() http.Handler {
	hello := Hello()
	length := strconv.Itoa(len(Big))
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, hello)
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", length)
		_, _ = w.Write(Big)
	})
	mux.HandleFunc("/cpu", func(w http.ResponseWriter, _ *http.Request) {
		Compute()
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, hello)
	})
	return mux
}

// Hello is the small body; the load generator counts processes by it.
func Hello() string { return "hello from " + strconv.Itoa(os.Getpid()) + "\n" }

// Compute is a handler that needs the processor. It is bounded by rounds that were
// counted at the start, not by the clock: beside others it takes longer.
func Compute() { sink.Store(spin(rounds)) }

var rounds = calibrate()

// sink keeps the compiler from leaving the work out.
var sink atomic.Uint64

func spin(n int) uint64 {
	x := uint64(88172645463325252)
	for range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// calibrate finds how many rounds take Work, by the fastest of some tries.
func calibrate() int {
	const try = 200_000
	best := time.Hour
	for range 10 {
		began := time.Now()
		sink.Store(spin(try))
		best = min(best, time.Since(began))
	}
	return int(try * Work / best)
}
