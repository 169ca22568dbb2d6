package httpwatch

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// quietWriter stands for the writer of net/http: the same interfaces, no work.
type quietWriter struct{ header http.Header }

func (w *quietWriter) Header() http.Header                          { return w.header }
func (w *quietWriter) WriteHeader(int)                              {}
func (w *quietWriter) Write(b []byte) (int, error)                  { return len(b), nil }
func (w *quietWriter) WriteString(s string) (int, error)            { return len(s), nil }
func (w *quietWriter) Flush()                                       {}
func (w *quietWriter) FlushError() error                            { return nil }
func (w *quietWriter) CloseNotify() <-chan bool                     { return nil }
func (w *quietWriter) SetReadDeadline(time.Time) error              { return nil }
func (w *quietWriter) SetWriteDeadline(time.Time) error             { return nil }
func (w *quietWriter) EnableFullDuplex() error                      { return nil }
func (w *quietWriter) ReadFrom(io.Reader) (int64, error)            { return 0, nil }
func (w *quietWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, "hello")
}

func benchmark(b *testing.B, h http.Handler, w http.ResponseWriter) {
	req, err := http.NewRequest("GET", "http://x/", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	// With next to nothing on the heap the collector would run all the time.
	ballast := make([]byte, 64<<20)
	defer runtime.KeepAlive(ballast)
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		clear(w.Header())
		h.ServeHTTP(w, req)
	}
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what the process has used of the processor. Beside busy neighbours
// it tells more than the wall clock does.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var production = Options{Timeout: time.Minute, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
	Overdue: func(Incident) {}, Recovered: func(uint64) {}}

// The difference of the first two is what the watch costs a request.
func BenchmarkBare(b *testing.B) {
	benchmark(b, http.HandlerFunc(hello), &quietWriter{header: http.Header{}})
}

func BenchmarkWatched(b *testing.B) {
	benchmark(b, New(production).Handler(http.HandlerFunc(hello)), &quietWriter{header: http.Header{}})
}

// plainWriter can only write, as that of a middleware of old.
type plainWriter struct{ w *quietWriter }

func (p plainWriter) Header() http.Header         { return p.w.header }
func (p plainWriter) WriteHeader(int)             {}
func (p plainWriter) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkWrapped is the way through httpsnoop.
func BenchmarkWrapped(b *testing.B) {
	benchmark(b, New(production).Handler(http.HandlerFunc(hello)), plainWriter{&quietWriter{header: http.Header{}}})
}
