package httpwatch

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// What middleware outside puts into the context is there, and it may be derived
// from in every way.
func TestContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	type own struct{}
	h := New(Options{Timeout: time.Millisecond}).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		child, cancel := context.WithCancel(context.WithValue(ctx, own{}, 1))
		defer cancel()
		after := make(chan struct{})
		context.AfterFunc(child, func() { close(after) })
		without := context.WithoutCancel(child)
		<-child.Done()
		wait(t, "AfterFunc", after)
		if ctx.Value(key{}) != "outside" || child.Value(key{}) != "outside" || without.Value(own{}) != 1 {
			t.Error("values are lost")
		}
		if ctx.Err() != context.Canceled || context.Cause(ctx) != ErrTimeout || context.Cause(child) != ErrTimeout || without.Err() != nil {
			t.Errorf("%v, %v, %v, %v", ctx.Err(), context.Cause(ctx), context.Cause(child), without.Err())
		}
		if _, ok := ctx.Deadline(); ok {
			t.Error("a deadline")
		}
	}))
	r := httptest.NewRequest("GET", "/", nil)
	h.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), key{}, "outside")))
}

// When the client goes, the cause is the server's.
func TestContextOfAClientThatGoes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	h := New(Options{Timeout: time.Minute}).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Context().Err() != nil {
			t.Error("too early")
		}
		cancel(io.ErrUnexpectedEOF)
		if r.Context().Err() != context.Canceled || context.Cause(r.Context()) != io.ErrUnexpectedEOF {
			t.Errorf("%v, %v", r.Context().Err(), context.Cause(r.Context()))
		}
		<-r.Context().Done()
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
}

func label(ctx context.Context, name string) string {
	value, _ := pprof.Label(ctx, name)
	return value
}

// Labels of middleware outside stay, in the handler and after it.
func TestLabelsAreKept(t *testing.T) {
	t.Parallel()
	h := New(Options{}).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if label(r.Context(), "route") != "/x" || label(r.Context(), labelKey) == "" {
			t.Error("labels are missing")
		}
		pprof.Do(r.Context(), pprof.Labels("inner", "1"), func(ctx context.Context) {
			if label(ctx, "route") != "/x" || label(ctx, labelKey) == "" || label(ctx, "inner") != "1" {
				t.Error("labels are missing inside")
			}
		})
	}))
	pprof.Do(t.Context(), pprof.Labels("route", "/x"), func(ctx context.Context) {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		profile := goroutinesOf(t)
		if !strings.Contains(profile, `"route":"/x"`) || strings.Contains(profile, labelKey) {
			t.Errorf("afterwards: %s", profile)
		}
	})
}

// goroutinesOf is the block of the profile that this test is in.
func goroutinesOf(t *testing.T) string {
	var b bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	for block := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(block, "goroutinesOf") {
			return block
		}
	}
	t.Fatal("no such goroutine")
	return ""
}

// The server removes the files of a form, and middleware sees the pattern.
func TestWhatTheHandlerFoundOutIsHandedOn(t *testing.T) {
	t.Parallel()
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	part, _ := m.CreateFormFile("f", "large")
	part.Write(make([]byte, 1<<20))
	m.Close()
	file := make(chan string, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upload/{id}", func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
		f, err := r.MultipartForm.File["f"][0].Open()
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		file <- f.(*os.File).Name()
	})
	pattern := make(chan string, 1)
	s := newSite(t, Options{Timeout: time.Minute}, nil, func(s *site) {
		h := s.watch.Handler(mux)
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			pattern <- r.Pattern
		})
	})
	resp, err := http.Post(s.URL+"/upload/1", m.FormDataContentType(), &form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := wait(t, "pattern", pattern); got != "POST /upload/{id}" {
		t.Errorf("pattern %q", got)
	}
	name := wait(t, "file", file)
	for end := time.Now().Add(limitFor); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(name); os.IsNotExist(err) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s stays", name)
		}
	}
}

// A handler may do with its request what it wants while the watch answers.
func TestHandlerChangesItsRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Timeout: 20 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil; i++ {
			r.Method, r.RemoteAddr, r.URL.Path = "HEAD"[:i%4], "else"[:i%4], "/changed"[:i%8]
			r.ProtoMajor = i
			w.Header().Set("X-Path", r.URL.Path)
		}
	})
	if got := wait(t, "answer", s.status(http.DefaultClient, "/as-it-came")); got != 504 {
		t.Errorf("status %d", got)
	}
	if in := wait(t, "incident", s.overdue); in.Method != "GET" || in.Path != "/as-it-came" || !strings.Contains(in.Remote, ":") {
		t.Errorf("%+v", in)
	}
}

// Each answer of a server that drains asks the client to close, whatever the
// handler writes.
func TestClosing(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Timeout: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/header":
			w.Header().Set("X-Y", "1")
		case "/write":
			io.WriteString(w, "x")
		case "/hints":
			w.WriteHeader(103)
		}
	})
	s.watch.Closing()
	for _, path := range []string{"/nothing", "/header", "/write", "/hints"} {
		resp, err := http.Get(s.URL + path)
		if err != nil || !resp.Close {
			t.Errorf("%s: %v, %v", path, resp, err)
		}
	}
}

// The answer does not wait for the rest of a body, nor for the handler that
// waits for something else meanwhile.
func TestStuckWithUnreadBody(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Timeout: 50 * time.Millisecond, ReadTimeout: time.Minute}, func(_ http.ResponseWriter, r *http.Request) {
		r.Body.Read(make([]byte, 1))
		<-r.Context().Done()
	})
	conn := s.dial(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx")
	if all, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 504 ") {
		t.Errorf("%q, %v", all, err)
	}
}

// A writer of middleware that panics ends nothing but its exchange.
func TestPanickingWriter(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newSite(t, Options{Timeout: 20 * time.Millisecond}, nil, func(s *site) {
		h := s.watch.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(panicking{w}, r) })
	})
	defer close(release)
	if got := wait(t, "end", s.status(http.DefaultClient, "/")); got != 0 {
		t.Errorf("status %d", got)
	}
	if in := wait(t, "incident", s.overdue); in.Status != 0 {
		t.Errorf("%+v", in)
	}
}

type panicking struct{ http.ResponseWriter }

func (panicking) WriteHeader(int) { panic("not here") }
