// Fugue is the app that fugue-http runs in the benchmark: package worker and the
// common handler, nothing else.
package main

import (
	"log"

	"github.com/fugue-http/fugue/bench/apps/handler"
	"github.com/fugue-http/fugue/worker"
)

func main() {
	if err := worker.Serve(handler.New()); err != nil {
		log.Fatal(err)
	}
}
