package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/sockets"
)

// What one client may cost. A request of ours is a few hundred bytes and takes
// milliseconds; what is slower or larger is broken.
const (
	headerLimit  = 5 * time.Second
	requestLimit = 10 * time.Second
	maxHeader    = 16 << 10
	maxBody      = 64 << 10
	maxConns     = 64
	crowdLimit   = 250 * time.Millisecond // for a whole request, when others wait to come in
	suspendLimit = 100 * time.Millisecond // for the same, when the master is about to exec
)

// How long an answer of the loop is waited for. A health check that is late is a
// bad one.
const (
	loopLimit   = 5 * time.Second
	healthLimit = time.Second
)

// closeLimit is what Close gives answers that are being written.
const closeLimit = 500 * time.Millisecond

// Server answers on the control socket. Its goroutines end with Close, except
// for those of clients that wait for the end of the process.
type Server struct {
	asks   chan<- Ask
	queue  func(address string) (waiting, limit int)
	door   *door
	http   *http.Server
	served chan struct{} // closed when Accept is over
	limit  time.Duration // loopLimit, except in tests

	handing crowd // goroutines that own a Waiter, of which net/http knows nothing
}

// Serve answers on l, which it owns from then on: Close closes it, and so does a
// failure. Each request that needs the loop is sent to asks, and nobody is kept
// waiting who does not receive from it. The queue of a listener is asked for by
// its address; queue is called from many goroutines, none after Close.
func Serve(l *sockets.Listener, asks chan<- Ask, queue func(address string) (waiting, limit int)) (*Server, error) {
	ln, err := accepting(l)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	s := &Server{asks: asks, queue: queue, door: newDoor(ln, l), served: make(chan struct{}), limit: loopLimit}
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerLimit,
		ReadTimeout:       requestLimit,
		WriteTimeout:      requestLimit,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withConn,
		ErrorLog:          log.New(io.Discard, "", 0), // strangers' mistakes are theirs
	}
	s.http.SetKeepAlivesEnabled(false) // a connection that idles holds a place
	go s.serve()
	return s, nil
}

// serve ends when the door closes.
func (s *Server) serve() {
	defer close(s.served)
	_ = s.http.Serve(s.door) // always http.ErrServerClosed or that of Close
}

// accepting returns a listener for net/http on a copy of l's descriptor, since closing it
// must not remove the file: that is for l, which knows whose the file is.
func accepting(l *sockets.Listener) (*net.UnixListener, error) {
	fd, err := unix.FcntlInt(uintptr(l.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), l.Address())
	defer f.Close() // FileListener makes a copy of its own
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	return ln.(*net.UnixListener), nil
}

// Close stops listening, removes the socket's file, and lets requests that were
// heard be answered, for a moment. Clients that wait for the stop of the master
// are left to the kernel: their connection ends when the process does.
func (s *Server) Close() error {
	err := s.door.Close()
	<-s.served
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	select {
	case <-s.handing.empty(): // they have told their clients that the master is stopping
	case <-ctx.Done():
	}
	return err
}

// Suspend takes in no more clients, for the exec of the master: new ones wait in
// the kernel's queue. The channel is closed when every request that was heard is
// answered and no Accept is under way; the asks of these requests still have to
// be received. Who has not said within a moment what he wants is sent away.
//
// A client that waits for the stop of the master is never done with, and keeps
// the channel open: a master that stops does not exec.
func (s *Server) Suspend() <-chan struct{} { return s.door.suspend() }

// Resume takes clients in again, after a Suspend whose exec failed. The channel
// of that Suspend means nothing any more.
func (s *Server) Resume() { s.door.resume() }
