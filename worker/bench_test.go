package worker

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// What each request costs on top of the app's handler.
func BenchmarkHandler(b *testing.B) {
	w := newWorker(inheritance{pipe: -1, command: -1, settings: defaults}, nil)
	ours, _ := net.Pipe()
	c := w.conns.add(ours, context.Background())
	h := w.handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("GET", "/", nil)
	r = r.WithContext(context.WithValue(r.Context(), connKey{}, c))
	rw := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(rw, r)
		w.conns.changeState(ours, http.StateIdle)
		w.conns.changeState(ours, http.StateActive)
	}
}
