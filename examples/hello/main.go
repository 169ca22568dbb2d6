// Hello is the smallest app for fugue-http:
//
//	fugue-http -l :8080 -w 2 -- ./hello
//
// Without a master it serves alone: go run ./examples/hello
package main

import (
	"fmt"
	"log"
	"net/http"

	"github.com/fugue-http/fugue/worker"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "Hello from worker %d\n", worker.ID())
	})
	if err := worker.Serve(nil); err != nil {
		log.Fatal(err)
	}
}
