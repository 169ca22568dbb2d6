// Package grpcwatch puts the calls of a gRPC server under the watch of fugue-http:
//
//	srv := grpc.NewServer(
//		grpc.ChainUnaryInterceptor(grpcwatch.Unary),
//		grpc.ChainStreamInterceptor(grpcwatch.Stream))
//
// A call that exceeds the timeout of the master's file leads to an incident with
// the stack of its goroutine; if it does not end within the grace after that, its
// worker is replaced. Chain these interceptors first, so that the handler that is
// watched includes the others: one that recovers panics has to be inside, on the
// handler's goroutine.
package grpcwatch

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fugue-http/fugue/httpwatch"
	"github.com/fugue-http/fugue/worker"
)

var errOverdue = status.Error(codes.DeadlineExceeded, "the call has exceeded the server's timeout")

// Unary watches a unary call. An overdue one is answered with DeadlineExceeded at
// once, though its handler may be stuck for good: the handler runs on a goroutine
// of its own, and gRPC waits for the interceptor only. Other calls on the same
// connection notice nothing.
func Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	began, ended := make(chan *worker.Task, 1), make(chan answer, 1)
	go func() { // ends with the handler
		// Here, because an incident shows the goroutine that called Begin.
		task := worker.BeginContext(ctx, info.FullMethod)
		defer task.Done()
		began <- task
		reply, err := handler(known(task), req)
		ended <- answer{reply, err}
	}()
	task := <-began
	select {
	case a := <-ended:
		return a.reply, a.err
	case <-task.Context().Done():
	}
	select {
	case a := <-ended: // the context has ended because the task is done
		return a.reply, a.err
	default:
	}
	if isOverdue(task) {
		return nil, errOverdue
	}
	return nil, status.FromContextError(ctx.Err()).Err() // the client has gone, and waits for nothing
}

type answer struct {
	reply any
	err   error
}

// Stream counts a stream as in flight and takes its limit away, because streams
// are meant to last. A handler that wants one sets it, counted from the start of
// the stream:
//
//	grpcwatch.Task(stream.Context()).SetTimeout(time.Hour)
//
// Then the stream's context is cancelled at the limit and there is an incident.
// The handler stays on gRPC's goroutine: the client has its DeadlineExceeded when
// the handler returns, which one that is stuck never does. Its worker is replaced.
//
// A stream that never ends by itself should end when worker.Draining() is closed,
// or its worker takes the whole worker_kill_timeout to leave.
func Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	task := worker.BeginContext(stream.Context(), info.FullMethod)
	defer task.Done()
	task.SetTimeout(0)
	err := handler(srv, watchedStream{stream, known(task)})
	if err != nil && isOverdue(task) {
		return errOverdue
	}
	return err
}

// watchedStream is a stream with another context.
type watchedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s watchedStream) Context() context.Context { return s.ctx }

// Task is what watches the call of ctx, for handlers that want another limit. It
// is nil if the call came through neither interceptor.
func Task(ctx context.Context) *worker.Task {
	task, _ := ctx.Value(taskKey{}).(*worker.Task)
	return task
}

type taskKey struct{}

// known is the call's context: it ends with the client's, and with the cause
// httpwatch.ErrTimeout when the call is overdue.
func known(task *worker.Task) context.Context {
	return context.WithValue(task.Context(), taskKey{}, task)
}

func isOverdue(task *worker.Task) bool {
	return errors.Is(context.Cause(task.Context()), httpwatch.ErrTimeout)
}
