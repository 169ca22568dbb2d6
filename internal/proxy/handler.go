package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fugue-http/fugue/httpwatch"
)

const (
	keptConnections = 256 // to the app, between requests
	// keptFor is below the time after which servers end idle connections (Node.js
	// 5 s). A request that meets such an end is sent again if that is safe.
	keptFor = 4 * time.Second
)

// handler forwards requests to the app.
type handler struct {
	proxy    *httputil.ReverseProxy
	log      complaints
	inFlight atomic.Int64
	leaving  atomic.Bool   // the worker has drained; only what is overdue is left
	end      chan struct{} // of the process: nobody closes it, but a test
}

// newHandler forwards to u; with h2c, what came over HTTP/2 goes on over HTTP/2.
func newHandler(u upstream, h2c bool) *handler {
	kept := oneShot(u)
	kept.DisableKeepAlives, kept.MaxIdleConnsPerHost, kept.IdleConnTimeout = false, keptConnections, keptFor
	h := &handler{end: make(chan struct{})}
	h.proxy = &httputil.ReverseProxy{
		Transport:      transport{kept: kept, fresh: oneShot(u), h2: multiplexed(u, h2c)},
		Rewrite:        rewrite,
		FlushInterval:  -1, // at once, whatever the type: the app has decided to send it
		ModifyResponse: exemptEvents,
		ErrorHandler:   h.fail,
		ErrorLog:       h.log.logger(),
	}
	return h
}

func (h *handler) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	h.inFlight.Add(1)
	defer h.inFlight.Add(-1)
	defer h.stay()
	ctx, done := patient(r.Context())
	defer done()
	// Without it the server reads the rest of the body, and closes it, when the first
	// byte of the response comes. The app may have answered before that was read for it:
	// with its last bytes even one that has read everything, for the transport reads once
	// more, to see the end. It would break off the connection to the app then, and the
	// response with it.
	_ = http.NewResponseController(rw).EnableFullDuplex() // always there in HTTP/1, not needed in HTTP/2
	from := &source{}
	out := r.WithContext(context.WithValue(ctx, sourceKey{}, from))
	if r.Body != nil && r.Body != http.NoBody {
		from.ReadCloser = r.Body
		out.Body = from
	}
	h.proxy.ServeHTTP(rw, out)
}

// stay keeps a request that is overdue from ending because the app is being ended
// for it: to the master it would have recovered.
func (h *handler) stay() {
	if h.leaving.Load() {
		<-h.end
	}
}

// patient ends when the client has gone, as parent does, but not when the request
// is overdue. The client has its answer then; whether the app only is slow or
// hangs is seen by waiting on. The handler that waits is what the master judges
// by: it replaces the pair when the grace is over.
func patient(parent context.Context) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		if cause := context.Cause(parent); !errors.Is(cause, httpwatch.ErrTimeout) {
			cancel(cause)
		}
	})
	return ctx, func() { stop(); cancel(nil) }
}

// transport sends a request over a connection that has been used before only if
// it may be sent twice: the app may end an idle connection in the moment in which
// it is used, and nobody can tell then whether it has seen the request.
// http.Transport sends it again by itself.
//
// It works on a goroutine of its own without the labels by which the watch finds
// the stack of a request: those that serve a connection inherit them, and outlive
// the request.
//
// Over HTTP/2 the app says which of the requests it has seen when it ends a
// connection (GOAWAY, RFC 9113 section 6.8), and http.Transport goes by that.
type transport struct {
	kept, fresh http.RoundTripper
	h2          http.RoundTripper // nil: all over HTTP/1.1
}

func (t transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	by := t.fresh
	switch {
	case t.h2 != nil && r.ProtoMajor == 2: // as the client has sent it
		by = t.h2
	case repeatable(r):
		by = t.kept
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		pprof.SetGoroutineLabels(context.Background())
		resp, err = by.RoundTrip(r)
	}()
	<-answered // it ends with r's context at the latest
	return resp, err
}

func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return r.Body == nil || r.Body == http.NoBody
	}
	return false
}

// rewrite addresses a request to the app. Host and query stay as the client has
// sent them. What proxies in front have said is kept, as for any other worker: an
// app behind one that ends TLS has to know.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", "app" // dialled is the app in any case
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	const client = "X-Forwarded-For"
	prior := r.In.Header[client]
	r.Out.Header[client] = prior // SetXForwarded appends to it
	r.SetXForwarded()
	if _, _, err := net.SplitHostPort(r.In.RemoteAddr); err != nil && prior != nil {
		r.Out.Header[client] = prior // over a Unix socket, whose peer has no address
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if said := r.In.Header[name]; said != nil {
			r.Out.Header[name] = said
		}
	}
}

// exemptEvents takes the limit from a stream of server-sent events: it has begun
// to answer, and is meant to last.
func exemptEvents(r *http.Response) error {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
		_ = httpwatch.Exempt(r.Request.Context()) // too late, or not watched
	}
	return nil
}

type sourceKey struct{}

// source is the body of a request. It notes that the client broke it off, for
// which the app cannot be blamed.
type source struct {
	io.ReadCloser
	broken atomic.Bool
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.broken.Store(true)
	}
	return n, err
}
