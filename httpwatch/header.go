package httpwatch

import (
	"log"
	"net/http"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// Header is the handler's own map. The server's is written when the status is:
// the watch may have to answer while the handler changes its map, and a map
// that two goroutines use ends the process.
func (r *request) Header() http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.header == nil {
		r.header = http.Header{}
		if r.closed() == nil { // else it leads nowhere
			for k, v := range r.rw.Header() {
				r.header[k] = slices.Clone(v)
			}
		}
	}
	return r.header
}

// copyHeader makes the server's map what the handler's is.
func (r *request) copyHeader() {
	if r.header == nil {
		return
	}
	to := r.rw.Header()
	clear(to)
	for k, v := range r.header {
		to[k] = v
	}
}

// prepare fills the server's map for the final status.
func (r *request) prepare(code int) {
	r.copyHeader()
	ends := r.watch.closing.Load() && r.req.Header.Get("Upgrade") == ""
	if code == http.StatusRequestEntityTooLarge && !r.http2 && r.body.unread() {
		// http.MaxBytesReader would have the connection closed, but asks only the
		// writer of the server itself, by a method that nobody else can have.
		ends = true
	}
	if ends {
		r.rw.Header().Set("Connection", "close")
	}
}

// trailers copies what net/http looks for after the body: names announced in
// Trailer, and those with http.TrailerPrefix.
func trailers(to, from http.Header) {
	announced := len(from["Trailer"]) > 0
	for k, v := range from {
		if announced || strings.HasPrefix(k, http.TrailerPrefix) {
			to[k] = v
		}
	}
}

// superfluous is a WriteHeader after the status was written. The server would
// log it, and name this package as the caller.
func (r *request) superfluous(code int) {
	srv, _ := r.ctx.Context.Value(http.ServerContextKey).(*http.Server)
	if srv == nil || reflect.TypeOf(r.rw).String() != "*http.response" {
		r.rw.WriteHeader(code) // of HTTP/2 or of middleware, which may have its own idea
		return
	}
	printf := log.Printf
	if srv.ErrorLog != nil {
		printf = srv.ErrorLog.Printf
	}
	f := caller()
	printf("http: superfluous response.WriteHeader call from %s (%s:%d)", f.Function, path.Base(f.File), f.Line)
}

// caller is the first function outside of net/http and this package.
func caller() (f runtime.Frame) {
	pc := make([]uintptr, 16)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for more := true; more; {
		f, more = frames.Next()
		if !strings.HasPrefix(f.Function, "net/http.") && !strings.Contains(f.Function, "/httpwatch.(*") &&
			!strings.Contains(f.Function, "/httpsnoop.") {
			return f
		}
	}
	return f
}
