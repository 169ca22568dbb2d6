// Command server is a gRPC server run by fugue-http:
//
//	fugue-http -l 127.0.0.1:8080 -w 2 -- bin/grpc
//
// worker.Run finds its GracefulStop: a worker that leaves sends GOAWAY, finishes
// the calls it has, and clients go on with another worker.
package main

import (
	"context"
	"log"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	grpcwatch "github.com/fugue-http/fugue/examples/servers/grpc"
	"github.com/fugue-http/fugue/examples/servers/grpc/greeter"
	"github.com/fugue-http/fugue/worker"
)

func main() {
	srv := grpc.NewServer(
		grpc.ChainUnaryInterceptor(grpcwatch.Unary),
		grpc.ChainStreamInterceptor(grpcwatch.Stream))
	greeter.RegisterGreeterServer(srv, hello{})
	if err := worker.Run(srv, worker.Addr("127.0.0.1:8080")); err != nil {
		log.Fatal(err)
	}
}

type hello struct {
	greeter.UnimplementedGreeterServer
}

func (hello) Hello(_ context.Context, req *greeter.HelloRequest) (*greeter.HelloReply, error) {
	if req.Stuck {
		stuck()
	}
	return &greeter.HelloReply{Text: "Hello, " + req.Name, Worker: int32(worker.ID())}, nil
}

// stuck does not look at the context: a bug that no deadline of gRPC ends.
func stuck() { time.Sleep(time.Hour) }

// Ticks counts until the client has enough. When the worker leaves, the client is
// told to call again: Unavailable is the code that it may do so for.
func (hello) Ticks(req *greeter.TicksRequest, stream grpc.ServerStreamingServer[greeter.Tick]) error {
	tick := time.NewTicker(time.Duration(max(req.EveryMs, 1)) * time.Millisecond)
	defer tick.Stop()
	for n := int64(1); ; n++ {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-worker.Draining():
			return status.Error(codes.Unavailable, "this worker leaves, call again")
		case <-tick.C:
		}
		if err := stream.Send(&greeter.Tick{Number: n}); err != nil {
			return err
		}
	}
}
