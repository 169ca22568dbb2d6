package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/worker"
)

const (
	// shortStop is for an app that has not answered in time, or whose worker is
	// about to be ended: it has had its chance.
	shortStop = 500 * time.Millisecond
	// lastWords bounds how long a worker without an app answers with 502.
	lastWords = time.Second
	glance    = 5 * time.Millisecond
)

// Run starts the app argv, forwards requests to it, and returns when the worker
// has drained and the app has left.
func Run(argv []string) error {
	// Package worker takes these out of the environment.
	pipe := masterPipe()
	s, err := readSettings(os.Getenv(wire.EnvSettings))
	if err != nil {
		return err
	}
	parent := os.Getppid()
	defer endGroup(parent)
	// Attached first: the listeners and pipes are not for the app.
	leaving := worker.Draining()
	p, err := newPlace(s.tmp)
	if err != nil {
		return err
	}
	defer p.remove()
	u, err := boot(argv, s, p, leaving)
	switch {
	case errors.Is(err, errLeaving):
		return nil
	case err != nil:
		tellMaster(pipe, err)
		return err
	}
	return newPair(s, p, u, pipe).serve()
}

// boot starts the app and waits until it is ready.
func boot(argv []string, s settings, p *place, leaving <-chan struct{}) (upstream, error) {
	a, err := startApp(argv, p.environ(os.Environ()))
	if err != nil {
		return upstream{}, fmt.Errorf("start the app: %w", err)
	}
	u, err := awaitReady(s.ready, p, a, leaving)
	if err != nil {
		a.stop(s.signal, shortStop)
	}
	return u, err
}

// endGroup ends what the app has started and left behind, as the master would;
// parent is the master's pid, and another parent means that it is gone. The worker
// itself has nothing left to do.
func endGroup(parent int) {
	if os.Getppid() != parent && unix.Getpgrp() == os.Getpid() {
		_ = unix.Kill(0, unix.SIGKILL)
	}
}

// pair is the worker with its app.
type pair struct {
	settings
	upstream
	handler *handler
	health  *health
	place   *place
	pipe    int           // to the master, -1 without one
	asked   atomic.Bool   // the app was told to leave
	dying   chan struct{} // closed when the app has ended without that
}

func newPair(s settings, p *place, u upstream, pipe int) *pair {
	return &pair{settings: s, upstream: u, place: p, pipe: pipe, handler: newHandler(u, s.h2c), dying: make(chan struct{}),
		health: &health{every: checkPause(s.limit), begin: s.beginSick,
			check: func() error { return probe(u, s.ready.path) }}}
}

// beginSick puts an app that is unwell under watch.
func (s settings) beginSick() (end func()) {
	t := worker.Begin("health check of the app")
	if s.limit == 0 {
		t.SetTimeout(noLimitHealth)
	}
	return t.Done
}

func (p *pair) serve() error {
	go p.health.watch(p.app.died)
	go p.mourn()
	err := worker.Run(&http.Server{Handler: p.handler, ConnContext: p.admit})
	p.asked.Store(true)
	p.handler.leaving.Store(true)
	// All that is in flight now is overdue: its clients have been answered.
	limit := time.Duration(0)
	if err != nil || p.handler.inFlight.Load() > 0 || p.health.sick.Load() {
		limit = shortStop
	}
	p.app.stop(p.signal, limit)
	return err
}

// admit is called for each connection by the one goroutine that accepts them. It
// never returns when the app has ended: what is still in the queue is for the
// other workers.
func (p *pair) admit(ctx context.Context, _ net.Conn) context.Context {
	select {
	case <-p.dying:
		select {}
	default:
		return ctx
	}
}

// mourn ends the worker when the app has ended of its own accord, as soon as the
// clients whose requests it had are answered. It is a crash: the master starts
// another pair, later if this happens again and again.
func (p *pair) mourn() {
	<-p.app.died
	if p.asked.Load() {
		return
	}
	close(p.dying)
	err := p.app.endError()
	fmt.Fprintln(os.Stderr, "fugue-http:", err)
	tellMaster(p.pipe, err)
	for end := time.Now().Add(lastWords); p.handler.inFlight.Load() > 0 && time.Now().Before(end); {
		time.Sleep(glance)
	}
	p.place.remove()
	os.Exit(1)
}
