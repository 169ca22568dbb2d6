package demo

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// way is one manner of misbehaving, chosen by ?how=; the first of a table is
// what happens without.
type way struct {
	how string
	do  func()
}

// stuckWays never return. Each is a function of its own with a telling name,
// which is what the stack of the incident then shows.
var stuckWays = []way{
	{"block", blockForEver},
	{"spin", spinForEver},
	{"sleep", sleepForEver},
	{"mutex", lockForEver},
	{"read", readForEver},
	{"recursion", func() { recurseForEver(recursionDepth) }},
}

// Deep enough that the runtime leaves out the middle when it prints the stack.
const recursionDepth = 10_000

func (a app) stuck(w http.ResponseWriter, r *http.Request) {
	if do, ok := choose(w, r, stuckWays); ok {
		do()
	}
}

// blockForEver waits for nothing: `goroutine N [select (no cases)]`.
//
//go:noinline
func blockForEver() { select {} }

// spinForEver burns one CPU. Go preempts it, so the neighbours stay alive.
//
//go:noinline
func spinForEver() {
	//lint:ignore SA5002 that it is empty is the point
	for {
	}
}

// sleepForEver sleeps for 292 years at a time.
//
//go:noinline
func sleepForEver() {
	for {
		time.Sleep(math.MaxInt64)
	}
}

// lockForEver waits for a mutex that it holds itself.
//
//go:noinline
func lockForEver() {
	var held sync.Mutex
	held.Lock()
	held.Lock()
}

// readForEver reads from a pipe into which nobody writes: `goroutine N [IO wait]`.
//
//go:noinline
func readForEver() {
	reader, writer, err := os.Pipe()
	if err != nil {
		blockForEver() // out of descriptors: stuck was promised
	}
	_, _ = reader.Read(make([]byte, 1))
	runtime.KeepAlive(writer) // were it collected, the read would end
}

// recurseForEver goes down, and blocks at the bottom.
//
//go:noinline
func recurseForEver(depth int) {
	if depth == 0 {
		select {}
	}
	recurseForEver(depth - 1)
}

// choose finds what ?how= asks for, and answers 400 if there is no such way.
func choose(w http.ResponseWriter, r *http.Request, ways []way) (do func(), ok bool) {
	how := r.FormValue("how")
	names := make([]string, len(ways))
	for i, way := range ways {
		if how == way.how || how == "" {
			return way.do, true
		}
		names[i] = way.how
	}
	text := fmt.Sprintf("how=%.40q: want one of %s", how, strings.Join(names, ", "))
	http.Error(w, text, http.StatusBadRequest)
	return nil, false
}

// links makes one target for each way; the first needs no ?how=.
func links(path string, ways []way) []string {
	targets := []string{path}
	for _, way := range ways[1:] {
		targets = append(targets, path+"?how="+way.how)
	}
	return targets
}

func stuckLinks() []string { return links("/stuck", stuckWays) }
