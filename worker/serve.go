package worker

import (
	"errors"
	"math"
	"net"
	"net/http"

	"github.com/fugue-http/fugue/sockets"
)

// Server is what Run can run. How it is told to leave is found by its methods,
// see Run.
type Server interface {
	Serve(net.Listener) error
}

var errTwice = errors.New("worker: Serve or Run was called before")

// Serve serves h (nil: http.DefaultServeMux) on the listeners of the master;
// alone, on Addr. The server's limits come from the `[http]` table of the
// master's file. It may be called once, and not together with Run.
//
// It returns nil when the worker has drained or was told to stop: main should
// then return. When the drain exceeds its limit (worker_kill_timeout) it closes
// what is left and returns an error; the process ends a second later even if
// main does not return. Other errors: nothing to listen on, a listener failed.
func Serve(h http.Handler, opts ...Option) error {
	return Run(&http.Server{Handler: h}, opts...)
}

// Run is Serve for any server. An *http.Server keeps the settings it has; the
// limits that are zero come from the `[http]` table. One with certificates in
// its TLSConfig serves TLS.
//
// Another server has its Serve called once for each listener. To drain, Run
// calls its GracefulStop(), Shutdown(context.Context) error or Shutdown() error,
// whichever it has first. A server with none of them sees Accept return
// net.ErrClosed, and Run waits until its connections are closed. To stop, Run
// calls Stop() or Close() error. That Serve returns without having been told is
// the end of Run too, with its error.
func Run(srv Server, opts ...Option) error {
	return self().run(srv, apply(opts))
}

func (w *worker) run(srv Server, o options) error {
	if w.serving.Swap(true) {
		return errTwice
	}
	gates, err := w.gates(o.addr)
	if err != nil {
		return err
	}
	if h, ok := srv.(*http.Server); ok {
		err = w.runHTTP(h, gates, o)
	} else {
		err = w.runOther(srv, gates, o)
	}
	if err == nil {
		w.left.Store(true)
	}
	return err
}

func (w *worker) runHTTP(srv *http.Server, gates []*sockets.Gate, o options) error {
	w.prepare(srv)
	if err := w.begin(o); err != nil {
		return err
	}
	tls := usesTLS(srv) // asked once: Serve writes to TLSConfig, and there may be several
	ended := serveEach(gates, func(g *sockets.Gate) error {
		if tls {
			return srv.ServeTLS(g, "", "")
		}
		return srv.Serve(g)
	})
	defer srv.Close()
	select {
	case err := <-ended:
		return err
	case <-w.draining:
		return w.drainHTTP(srv, gates)
	}
}

// begin says that the worker is ready; connections queue in the kernel already.
func (w *worker) begin(o options) error {
	if err := w.ready(); err != nil {
		return err
	}
	if o.started != nil {
		go o.started()
	}
	return nil
}

// serveEach calls serve for each gate in a goroutine of its own, which ends with
// it, and tells the results. A gate whose server has returned is closed, so that
// nobody waits for it to accept.
func serveEach(gates []*sockets.Gate, serve func(*sockets.Gate) error) <-chan error {
	ended := make(chan error, len(gates))
	for _, g := range gates {
		go func() {
			defer g.Close()
			ended <- serve(g)
		}()
	}
	return ended
}

// prepare adds to srv what the worker needs and what the user left out.
func (w *worker) prepare(srv *http.Server) {
	limits := w.settings.HTTP
	if srv.ReadHeaderTimeout == 0 && srv.ReadTimeout == 0 {
		srv.ReadHeaderTimeout = limits.ReadHeaderTimeout
	}
	if srv.IdleTimeout == 0 && srv.ReadTimeout == 0 {
		srv.IdleTimeout = limits.IdleTimeout
	}
	if srv.MaxHeaderBytes == 0 {
		srv.MaxHeaderBytes = limits.MaxHeaderBytes
	}
	if srv.MaxHeaderBytes == 0 { // off, for which net/http has no value: 0 is 1 MiB
		srv.MaxHeaderBytes = math.MaxInt32
	}
	if limits.H2C && srv.Protocols == nil {
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetHTTP2(true)
		srv.Protocols.SetUnencryptedHTTP2(true)
	}
	w.conns.watch(srv)
	srv.Handler = w.handler(srv.Handler)
}

// handler puts next under the watch, which also asks clients not to come back
// over their connections while the worker drains: HTTP/1 closes after the
// answer, HTTP/2 sends GOAWAY.
func (w *worker) handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	watched := w.watch.Handler(next)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor >= 2 {
			w.conns.carriesHTTP2(r)
		}
		watched.ServeHTTP(rw, r)
	})
}

func usesTLS(srv *http.Server) bool {
	c := srv.TLSConfig
	return c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil)
}
