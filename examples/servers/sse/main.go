// Command sse is a stream of server-sent events run by fugue-http:
//
//	fugue-http -l 127.0.0.1:8080 -w 2 -- bin/sse
//	curl -N http://127.0.0.1:8080/events
package main

import (
	"fmt"
	"log"
	"net/http"
	"strconv"
	"time"

	"github.com/fugue-http/fugue/httpwatch"
	"github.com/fugue-http/fugue/worker"
)

func main() {
	http.HandleFunc("GET /events", events)
	if err := worker.Serve(nil, worker.Addr("127.0.0.1:8080")); err != nil {
		log.Fatal(err)
	}
}

// events counts, from where the client has been the last time. It ends when the
// client goes or the worker leaves; browsers then connect again by themselves,
// after `retry` milliseconds and with the Last-Event-ID, to another worker.
func events(w http.ResponseWriter, r *http.Request) {
	if err := httpwatch.Exempt(r.Context()); err != nil { // a stream may outlast the timeout
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, "retry: 100\n\n")
	flush := http.NewResponseController(w).Flush
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID")) // none is 0
	for n := last + 1; flush() == nil; n++ {
		select {
		case <-r.Context().Done():
			return
		case <-worker.Draining():
			return
		case <-tick.C:
			fmt.Fprintf(w, "id: %d\ndata: %d from worker %d\n\n", n, n, worker.ID())
		}
	}
}
