// Command chi is a router of go-chi, unchanged, run by fugue-http:
//
//	fugue-http -l 127.0.0.1:8080 -w 2 -- bin/chi
//
// Any http.Handler is served in this way: worker.Serve in the place of
// http.ListenAndServe is all there is to it.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/fugue-http/fugue/worker"
)

func main() {
	if err := worker.Serve(routes(), worker.Addr("127.0.0.1:8080")); err != nil {
		log.Fatal(err)
	}
}

func routes() http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	r.Get("/hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s, from worker %d\n", chi.URLParam(r, "name"), worker.ID())
	})
	r.Route("/reports", func(r chi.Router) {
		r.Use(middleware.NoCache)
		r.Get("/{id}", report)
	})
	return r
}

// report never ends for number 13: a bug. The client gets a 504 when the timeout
// has passed, and `fugue-http incidents` shows this line.
func report(w http.ResponseWriter, r *http.Request) {
	if chi.URLParam(r, "id") == "13" {
		time.Sleep(time.Hour)
	}
	fmt.Fprintf(w, "Report %s\n", chi.URLParam(r, "id"))
}
