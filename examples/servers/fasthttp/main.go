// Command fasthttp is a fasthttp server run by fugue-http:
//
//	fugue-http -l 127.0.0.1:8080 -w 2 -- bin/fasthttp
package main

import (
	"fmt"
	"log"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/fugue-http/fugue/worker"
)

func main() {
	srv := &fasthttp.Server{Handler: watched(hello), IdleTimeout: 75 * time.Second, CloseOnShutdown: true}
	if err := worker.Run(patient{srv}, worker.Addr("127.0.0.1:8080")); err != nil {
		log.Fatal(err)
	}
}

func hello(ctx *fasthttp.RequestCtx) {
	if string(ctx.Path()) == "/stuck" {
		time.Sleep(time.Hour) // a bug
	}
	fmt.Fprintf(ctx, "Hello from worker %d\n", worker.ID())
}

// watched puts each request under the watch. An overdue one is answered with 504
// at once, though its handler may be stuck for good: it runs on a goroutine of its
// own, and fasthttp leaves ctx to it after TimeoutErrorWithResponse.
func watched(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		began, ended := make(chan *worker.Task, 1), make(chan struct{})
		path := string(ctx.Path())
		go func() { // ends with the handler
			// Here, because an incident shows the goroutine that called Begin.
			task := worker.Begin(path)
			defer task.Done()
			began <- task
			next(ctx)
			close(ended)
		}()
		task := <-began
		select {
		case <-ended:
		case <-task.Context().Done():
			select {
			case <-ended: // the context has ended because the task is done
			default:
				late(ctx)
				return
			}
		}
		if leaving() {
			ctx.Response.Header.SetConnectionClose()
		}
	}
}

// late answers in the place of a handler that may go on using ctx.
func late(ctx *fasthttp.RequestCtx) {
	var answer fasthttp.Response
	answer.SetStatusCode(fasthttp.StatusGatewayTimeout)
	answer.SetBodyString("the request has exceeded its timeout\n")
	answer.SetConnectionClose()
	ctx.TimeoutErrorWithResponse(&answer)
}

func leaving() bool {
	select {
	case <-worker.Draining():
		return true
	default:
		return false
	}
}

// patient is a server that loses nothing when it leaves. fasthttp's Shutdown closes
// idle connections at once, and with them requests that are on their way.
type patient struct{ *fasthttp.Server }

// Shutdown gives idle connections two seconds to send one more request; the answer
// says `Connection: close`.
func (s patient) Shutdown() error {
	for end := time.Now().Add(2 * time.Second); s.GetOpenConnectionsCount() > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	return s.Server.Shutdown()
}
