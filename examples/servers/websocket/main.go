// Command websocket is an echo server for WebSockets run by fugue-http:
//
//	fugue-http -l 127.0.0.1:8080 -w 2 -- bin/websocket
//
// A connection that has become a WebSocket has no timeout: it is not under the
// watch any more, only counted.
package main

import (
	"log"
	"net/http"

	"github.com/coder/websocket"

	"github.com/fugue-http/fugue/worker"
)

func main() {
	http.HandleFunc("/echo", echo)
	if err := worker.Serve(nil, worker.Addr("127.0.0.1:8080")); err != nil {
		log.Fatal(err)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // the client has its answer
	}
	defer c.CloseNow()
	over := make(chan struct{})
	defer close(over)
	go sayGoodbye(c, over)
	for {
		kind, text, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, text); err != nil {
			return
		}
	}
}

// sayGoodbye closes c with 1001 (going away) when the worker leaves: clients then
// connect again, to another worker. Close waits for the client's own goodbye, and
// then Read returns. It ends with the connection.
func sayGoodbye(c *websocket.Conn, over <-chan struct{}) {
	select {
	case <-worker.Draining():
		c.Close(websocket.StatusGoingAway, "this worker leaves, connect again")
	case <-over:
	}
}
