package httpwatch

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"
)

// books are kept of what a watch reports.
type books struct {
	mu                 sync.Mutex
	open               map[uint64]bool
	overdue, recovered int
	wrong              []string
}

func (b *books) watch(opt Options) *Watch {
	b.open = map[uint64]bool{}
	opt.Overdue = func(in Incident) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.overdue++
		b.open[in.ID] = true
	}
	opt.Recovered = func(id uint64) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.recovered++
		if !b.open[id] {
			b.wrong = append(b.wrong, "recovered before it was overdue, or twice")
		}
		delete(b.open, id)
	}
	return New(opt)
}

// settle waits until each incident has recovered.
func (b *books) settle(t *testing.T, w *Watch) {
	t.Helper()
	for end := time.Now().Add(limitFor); ; time.Sleep(time.Millisecond) {
		b.mu.Lock()
		done := b.overdue == int(w.timedOut.Load()) && b.overdue == b.recovered
		b.mu.Unlock()
		snap := w.Snapshot()
		if done && snap.InFlight == 0 && snap.Stuck == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d overdue, %d recovered, %+v", b.overdue, b.recovered, snap)
		}
	}
	for _, what := range b.wrong {
		t.Error(what)
	}
}

// hammer has many handlers end at about the moment of their timeout, and returns
// how often each answer came; 0 is a cut.
func hammer(t *testing.T, path string, client *http.Client, changes ...func(*site)) map[int]int {
	const limit = 5 * time.Millisecond
	var b books
	w := b.watch(Options{Timeout: limit})
	w.clerk.pause = 10 * time.Millisecond
	s := newSite(t, Options{}, nil, append(changes, func(s *site) {
		s.Config.Handler = w.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(limit - time.Millisecond + rand.N(2*time.Millisecond))
			lastActs[path](w, r)
		}))
	})...)
	answers := make(chan int, 1000)
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			for range 10 {
				answers <- <-s.status(client, path)
			}
		})
	}
	clients.Wait()
	close(answers)
	b.settle(t, w)
	counts := map[int]int{}
	for status := range answers {
		counts[status]++
	}
	t.Logf("%v, %d incidents", counts, b.overdue)
	return counts
}

// lastActs are what a handler may do at the moment of its timeout.
var lastActs = map[string]http.HandlerFunc{
	"/return": func(http.ResponseWriter, *http.Request) {},
	"/write":  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Y", "z"); io.WriteString(w, "ok") },
	"/panic":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"/hijack": func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 202 Mine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		conn.Close()
	},
	"/exempt": func(w http.ResponseWriter, r *http.Request) { Exempt(r.Context()) },
	"/longer": func(w http.ResponseWriter, r *http.Request) {
		SetTimeout(r.Context(), 6*time.Millisecond)
		time.Sleep(time.Millisecond)
	},
	"/headers": func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			w.Header().Add("X-Many", string(rune('a'+i%26)))
			w.Header().Set("Content-Type", "text/x")
		}
	},
}

// Whatever a handler does at the moment of its timeout: each client gets a whole
// answer, and the books are right.
func TestLastMoment(t *testing.T) {
	t.Parallel()
	for path := range lastActs {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			for status, n := range hammer(t, path, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 20}}) {
				whole := status == 200 || status == 202 || status == 504
				if !whole && path != "/panic" && path != "/write" { // a write in progress is cut
					t.Errorf("%d answers of status %d", n, status)
				}
			}
		})
		if path == "/hijack" {
			continue
		}
		t.Run(path[1:]+" HTTP2", func(t *testing.T) {
			t.Parallel()
			hammer(t, path, http2Client(), withHTTP2)
		})
	}
}

// A goroutine that keeps the writer and the context longer than it may reaches
// nothing.
func TestWriterOutlivesItsHandler(t *testing.T) {
	t.Parallel()
	kept := make(chan http.ResponseWriter, 1)
	s := newSite(t, Options{Timeout: time.Minute}, func(w http.ResponseWriter, r *http.Request) { kept <- w })
	for _, client := range []*http.Client{http.DefaultClient} {
		if got := wait(t, "answer", s.status(client, "/")); got != 200 {
			t.Fatal(got)
		}
		w := wait(t, "writer", kept)
		for s.watch.Snapshot().InFlight > 0 {
			time.Sleep(time.Millisecond)
		}
		w.Header().Set("X-Late", "1")
		w.WriteHeader(500)
		_, err := w.Write([]byte("late"))
		_, err2 := w.(io.ReaderFrom).ReadFrom(bufio.NewReader(http.NoBody))
		if err == nil || err2 != nil || w.(interface{ FlushError() error }).FlushError() == nil {
			t.Errorf("late writes: %v, %v", err, err2)
		}
		if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
			t.Error("a late hijack succeeds")
		}
	}
}

// Several goroutines write, read their context and change their limit while the
// watch answers.
func TestManyGoroutinesOfOneHandler(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Timeout: 10 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for !errors.Is(context.Cause(r.Context()), ErrTimeout) {
					if _, err := io.WriteString(w, "some"); err != nil {
						return
					}
					w.(http.Flusher).Flush()
				}
			})
			all.Go(func() {
				stop := context.AfterFunc(r.Context(), func() {})
				defer stop()
				<-r.Context().Done()
				SetTimeout(r.Context(), time.Hour)
			})
		}
		all.Wait()
	})
	for range 5 {
		if got := wait(t, "end", s.status(http.DefaultClient, "/")); got != 0 {
			t.Errorf("status %d", got)
		}
	}
}
