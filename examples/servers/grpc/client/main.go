// Command client makes calls to the server beside it and tells as JSON what has
// become of them:
//
//	go run ./grpc/client -address 127.0.0.1:8080 -calls 50000 -connections 8
//
// With -hold it goes on until its input ends, however many calls that takes; it
// says "1000 calls" for each thousand on stderr.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/fugue-http/fugue/examples/servers/grpc/greeter"
)

// patience is longer than any call should take.
const patience = 30 * time.Second

type load struct {
	calls int64         // at least
	over  chan struct{} // and until it is closed
	pause time.Duration // of a caller between two calls

	made atomic.Int64
	mu   sync.Mutex // guards all below
	report
}

type report struct {
	Calls   int64            `json:"calls"`
	OK      int64            `json:"ok"`
	Errors  map[string]int64 `json:"errors"`  // of calls, by code and text
	Workers map[int32]int64  `json:"workers"` // calls answered by each
	Slowest int64            `json:"slowest_ms"`
	Streams map[string]int   `json:"streams,omitempty"` // by the code that has ended them; Canceled is the client itself
	Ticks   int64            `json:"ticks,omitempty"`   // received by all streams
	Stuck   *stuck           `json:"stuck,omitempty"`
}

func newReport() report {
	return report{Errors: map[string]int64{}, Workers: map[int32]int64{}, Streams: map[string]int{}}
}

// stuck is the call that the server never answers by itself.
type stuck struct {
	Code  string `json:"code"`
	Took  int64  `json:"took_ms"`
	After int64  `json:"calls_after"` // that the same connection has answered since
}

func main() {
	address := flag.String("address", "127.0.0.1:8080", "of the server")
	calls := flag.Int64("calls", 1000, "how many calls")
	connections := flag.Int("connections", 4, "over how many connections")
	depth := flag.Int("depth", 4, "calls at a time on each")
	pause := flag.Duration("pause", 0, "of each caller between two calls")
	renew := flag.Int("renew", 0, "make the connection anew after so many calls; 0 = keep it")
	hold := flag.Bool("hold", false, "go on until the input ends")
	streams := flag.Bool("streams", false, "hold a stream on each connection")
	bug := flag.Bool("stuck", false, "make a call that gets stuck, on the first connection")
	flag.Parse()

	l := &load{calls: *calls, over: make(chan struct{}), pause: *pause, report: newReport()}
	if !*hold {
		close(l.over)
	}
	var all sync.WaitGroup
	for i := range *connections {
		all.Go(func() { l.connection(*address, *depth, *renew, *streams, *bug && i == 0) })
	}
	if *hold {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(l.over)
	}
	all.Wait()
	_ = json.NewEncoder(os.Stdout).Encode(&l.report)
	if l.OK < l.Calls {
		os.Exit(1)
	}
}

// connection makes calls over one connection, or one after the other.
func (l *load) connection(address string, depth, renew int, streams, bug bool) {
	for first := true; first || !l.ended(); first = false {
		conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			log.Fatal(err)
		}
		l.use(greeter.NewGreeterClient(conn), depth, renew, streams, bug)
		conn.Close()
	}
}

// use returns when the load has ended, or after renew calls if that is not 0.
func (l *load) use(c greeter.GreeterClient, depth, renew int, streams, bug bool) {
	var callers, others sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	if streams {
		others.Go(func() { l.watchTicks(ctx, c) })
	}
	var here atomic.Int64 // calls answered
	if bug {
		callers.Go(func() { l.getStuck(c, &here) })
	}
	for range depth {
		callers.Go(func() {
			for !l.ended() && (renew == 0 || here.Load() < int64(renew)) {
				l.call(c)
				here.Add(1)
				time.Sleep(l.pause)
			}
		})
	}
	callers.Wait()
	cancel()
	others.Wait()
}

func (l *load) ended() bool {
	select {
	case <-l.over:
		return l.made.Load() >= l.calls
	default:
		return false
	}
}

// call is not tried again if it fails. gRPC itself sends again what the server
// has refused unseen, as it may behind a GOAWAY.
func (l *load) call(c greeter.GreeterClient) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	reply, err := c.Hello(ctx, &greeter.HelloRequest{Name: "gRPC"})
	if n := l.made.Add(1); n%1000 == 0 {
		fmt.Fprintf(os.Stderr, "%d calls\n", n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Calls++
	l.Slowest = max(l.Slowest, time.Since(began).Milliseconds())
	switch {
	case err != nil:
		l.Errors[err.Error()]++
	case reply.Text != "Hello, gRPC":
		l.Errors["wrong text: "+reply.Text]++
	default:
		l.OK++
		l.Workers[reply.Worker]++
	}
}

// watchTicks ends with ctx, or when the server ends the stream.
func (l *load) watchTicks(ctx context.Context, c greeter.GreeterClient) {
	received := int64(0)
	ticks, err := c.Ticks(ctx, &greeter.TicksRequest{EveryMs: 20})
	for err == nil {
		if _, err = ticks.Recv(); err == nil {
			received++
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Ticks += received
	l.Streams[status.Code(err).String()]++
}

// getStuck says on stderr when its call is over, and counts what the connection has
// answered from then on.
func (l *load) getStuck(c greeter.GreeterClient, here *atomic.Int64) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	_, err := c.Hello(ctx, &greeter.HelloRequest{Stuck: true})
	got := &stuck{Code: status.Code(err).String(), Took: time.Since(began).Milliseconds()}
	fmt.Fprintf(os.Stderr, "the stuck call has ended: %v\n", err)
	before := here.Load()
	<-l.over
	got.After = here.Load() - before
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Stuck = got
}
