// Fugue is the app that fugue-http runs in the benchmark: package worker and the
// common handler, nothing else. With BENCH_PROFILE it writes a profile of the
// processor into a file of that name and its pid, from its start to its end.
package main

import (
	"fmt"
	"log"
	"os"
	"runtime/pprof"

	"github.com/fugue-http/fugue/bench/apps/handler"
	"github.com/fugue-http/fugue/worker"
)

func main() {
	defer profile(os.Getenv("BENCH_PROFILE"))()
	if err := worker.Serve(handler.New()); err != nil {
		log.Print(err)
	}
}

func profile(name string) (stop func()) {
	if name == "" {
		return func() {}
	}
	f, err := os.Create(fmt.Sprintf("%s.%d", name, os.Getpid()))
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		log.Fatal(err)
	}
	return pprof.StopCPUProfile
}
