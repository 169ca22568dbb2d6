package demo

import (
	"net/http"
	"os"
	"syscall"
)

// crashWays end the process, each leaving another trace for the master to find.
var crashWays = []way{
	{"panic", panicOutsideTheHandler},     // exit status 2, and the stack in the log
	{"exit", func() { os.Exit(exitOdd) }}, // the app left of its own will, saying nothing
	{"abort", abort},                      // SIGABRT: the runtime prints every goroutine
}

const exitOdd = 3

// crash kills the worker, and never answers.
func (a app) crash(w http.ResponseWriter, r *http.Request) {
	do, ok := choose(w, r, crashWays)
	if !ok {
		return
	}
	// A panic in the handler itself would be caught by net/http; in a goroutine
	// that a handler starts, nobody catches it.
	go do()
	blockForEver()
}

func panicOutsideTheHandler() { panic("demo: /crash was asked for") }

func abort() { _ = syscall.Kill(os.Getpid(), syscall.SIGABRT) } // one may always signal oneself

func crashLinks() []string { return links("/crash", crashWays) }
