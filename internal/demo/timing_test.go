package demo

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// timed runs one request in virtual time and says how long it took.
func timed(ctx context.Context, target string) (*httptest.ResponseRecorder, time.Duration) {
	w, began := httptest.NewRecorder(), time.Now()
	New(someone).ServeHTTP(w, httptest.NewRequest("GET", target, nil).WithContext(ctx))
	return w, time.Since(began)
}

func TestSleepAnswersAfterItsTime(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]time.Duration{
		"/sleep": 2 * time.Second, "/sleep?for=250ms": 250 * time.Millisecond, "/sleep?for=5m": 5 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			if w, took := timed(t.Context(), target); w.Code != 200 || took != want {
				t.Errorf("%s: %d after %s", target, w.Code, took)
			}
		})
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w, took := timed(ctx, "/sleep?for=1m")
		if w.Code != 503 || took != time.Second || w.Body.String() != "sleep was cancelled\n" {
			t.Errorf("%d %q after %s", w.Code, w.Body, took)
		}
	})
}

func TestStreamKeepsItsPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, took := timed(t.Context(), "/stream")
		if lines := strings.Count(w.Body.String(), "\n"); lines != 10 || took != 9*500*time.Millisecond || !w.Flushed {
			t.Errorf("%d lines in %s, flushed: %v", lines, took, w.Flushed)
		}
	})
}

func TestStreamEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second+1)
		defer cancel()
		w, took := timed(ctx, "/stream?n=1000&every=1s")
		if lines := strings.Count(w.Body.String(), "\n"); lines != 2 || took != time.Second+1 {
			t.Errorf("%d lines in %s", lines, took)
		}
	})
}

// gone is a client that has left: nothing can be flushed to it.
type gone struct {
	http.ResponseWriter
	lines int
}

func (g *gone) Write(p []byte) (int, error) { g.lines++; return len(p), nil }
func (g *gone) FlushError() error           { return errors.New("broken pipe") }

func TestStreamEndsWithItsClient(t *testing.T) {
	t.Parallel()
	g := &gone{ResponseWriter: httptest.NewRecorder()}
	New(someone).ServeHTTP(g, httptest.NewRequest("GET", "/stream?n=1000&every=10s", nil))
	if g.lines != 1 {
		t.Errorf("%d lines were written to nobody", g.lines)
	}
}
