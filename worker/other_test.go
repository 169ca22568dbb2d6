package worker

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/fugue-http/fugue/internal/wire"
)

// Servers that are told in their own ways. Each stops serving when told.
type (
	grpcLike struct {
		plainServer
		*told
	}
	contextLike struct {
		plainServer
		*told
	}
	fasthttpLike struct {
		plainServer
		*told
	}
	told struct{ by chan string }
)

func (s grpcLike) GracefulStop()                     { s.by <- "GracefulStop" }
func (s grpcLike) Stop()                             { s.by <- "Stop" }
func (s contextLike) Shutdown(context.Context) error { s.by <- "Shutdown(ctx)"; return nil }
func (s contextLike) Close() error                   { s.by <- "Close"; return nil }
func (s fasthttpLike) Shutdown() error               { s.by <- "Shutdown()"; return nil }

func TestServersAreToldInTheirOwnWay(t *testing.T) {
	t.Parallel()
	for want, server := range map[string]func(*told) Server{
		"GracefulStop":  func(d *told) Server { return &grpcLike{told: d} },
		"Shutdown(ctx)": func(d *told) Server { return &contextLike{told: d} },
		"Shutdown()":    func(d *told) Server { return &fasthttpLike{told: d} },
	} {
		i, d := newInside(t, testSettings), &told{make(chan string, 4)}
		ended := i.serve(t, server(d))
		i.command(t, wire.CommandDrain)
		check(t, within(t, "Run", ended))
		if got := within(t, "drain", d.by); got != want {
			t.Errorf("told by %s, want %s", got, want)
		}
	}
}

func TestPlainServerFinishesItsConnections(t *testing.T) {
	t.Parallel()
	i := newInside(t, testSettings)
	serving := make(chan net.Conn, 1)
	ended := i.serve(t, &plainServer{serving: func(c net.Conn) { serving <- c }})
	c, err := net.Dial("tcp", i.socket.addr)
	check(t, err)
	within(t, "accept", serving)
	i.await(t, "a beat that counts", func(m wire.Message) bool { return m.Connections == 1 })
	i.drain()
	check(t, echoOnce(c, "still served"))
	select {
	case err := <-ended:
		t.Fatalf("left (%v) before its connection", err)
	default:
	}
	c.Close()
	check(t, within(t, "Run", ended))
}

func TestServerThatEndsByItselfEndsRun(t *testing.T) {
	t.Parallel()
	i := newInside(t, testSettings)
	ended := i.serve(t, failingServer{})
	if err := within(t, "Run", ended); !errors.Is(err, errServer) {
		t.Errorf("Run = %v, want the server's error", err)
	}
}

var errServer = errors.New("out of order")

type failingServer struct{}

func (failingServer) Serve(net.Listener) error { return errServer }
