package httpwatch

import (
	"net/http"
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
		r.trailers = r.trailers || strings.HasPrefix(k, "Trailer")
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
