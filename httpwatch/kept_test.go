package httpwatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// exchange is everything that a client and the server's log see of a handler.
type exchange struct {
	Received string
	Log      string
}

// logOf is a server's log, without what differs from run to run.
type logOf struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logOf) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line, _, _ := bytes.Cut(p, []byte("\n")) // of a panic without the stack
	l.b.Write(line)
	return len(p), nil
}

var (
	dates     = regexp.MustCompile(`Date: [^\r]*`)
	addresses = regexp.MustCompile(`127\.0\.0\.1:\d+`)
)

// serve starts a server for h, with or without a watch.
func serve(t *testing.T, h http.HandlerFunc, watched bool, log *logOf, start func(*httptest.Server)) *httptest.Server {
	var handler http.Handler = h
	if watched {
		handler = New(production).Handler(h)
	}
	s := httptest.NewUnstartedServer(handler)
	if watched {
		s.Config.ConnContext = ConnContext
	}
	s.Config.ErrorLog = newLog(log)
	start(s)
	t.Cleanup(s.Close)
	return s
}

func newLog(l *logOf) *log.Logger { return log.New(l, "", 0) }

func (l *logOf) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return addresses.ReplaceAllString(l.b.String(), "ADDRESS")
}

const lastRequest = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

// overHTTP1 sends c's bytes and one more request, which shows whether the
// connection is kept.
func overHTTP1(t *testing.T, c keptCase, watched bool) exchange {
	var log logOf
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/last" {
			io.WriteString(w, "the last\n")
			return
		}
		c.handler(w, r)
	}
	s := serve(t, h, watched, &log, (*httptest.Server).Start)
	send := c.send
	if send == "" {
		send = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	}
	conn := (&site{Server: s}).dial(t, send+lastRequest)
	all, err := io.ReadAll(conn)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Error("the connection stays open")
	}
	s.Close()
	return exchange{dates.ReplaceAllString(string(all), "Date: D"), log.String()}
}

// overHTTP2 describes what net/http's client receives.
func overHTTP2(t *testing.T, c keptCase, watched, tls bool) exchange {
	var log logOf
	s := serve(t, c.handler, watched, &log, func(s *httptest.Server) {
		if tls {
			s.EnableHTTP2 = true
			s.StartTLS()
			return
		}
		withHTTP2(&site{Server: s})
		s.Start()
	})
	client := s.Client()
	if !tls {
		client = http2Client()
	}
	req, err := http.ReadRequest(bufioReader(c.send))
	if err != nil {
		t.Fatal(err)
	}
	got := fetch(t, client, req, s.URL)
	for end := time.Now().Add(limitFor); c.logs && log.String() == "" && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // HTTP/2 logs after it has reset the stream
	}
	s.CloseClientConnections()
	s.Close()
	return exchange{got, log.String()}
}

func fetch(t *testing.T, client *http.Client, like *http.Request, url string) string {
	var b strings.Builder
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		fmt.Fprintf(&b, "%d %v\n", code, h)
		return nil
	}}
	ctx, cancel := context.WithTimeout(httptrace.WithClientTrace(t.Context(), trace), limitFor)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, like.Method, url+like.URL.RequestURI(), like.Body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength, req.Header = like.ContentLength, like.Header
	resp, err := client.Do(req)
	if err != nil {
		return b.String() + regexp.MustCompile(`stream ID \d+`).ReplaceAllString(err.Error()[strings.LastIndex(err.Error(), `": `):], "stream")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	resp.Header.Del("Date")
	fmt.Fprintf(&b, "%s %s\n%v\n%v %d %q %v", resp.Proto, resp.Status, resp.Header, resp.Trailer, resp.ContentLength, body, err)
	return regexp.MustCompile(`stream ID \d+`).ReplaceAllString(b.String(), "stream")
}

// What a client receives from a handler is the same with and without the watch,
// to the byte over HTTP/1.
func TestBehaviourIsKept(t *testing.T) {
	t.Parallel()
	for name, c := range keptCases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, "HTTP/1", func(watched bool) exchange { return overHTTP1(t, c, watched) })
			if c.only1 {
				return
			}
			if c.send == "" {
				c.send = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
			}
			compare(t, "HTTP/2", func(watched bool) exchange { return overHTTP2(t, c, watched, true) })
			compare(t, "HTTP/2 without TLS", func(watched bool) exchange { return overHTTP2(t, c, watched, false) })
		})
	}
}

func compare(t *testing.T, protocol string, run func(watched bool) exchange) {
	t.Helper()
	bare, watched := run(false), run(true)
	if bare.Received != watched.Received {
		t.Errorf("%s: without the watch\n%q\nwith it\n%q", protocol, bare.Received, watched.Received)
	}
	if bare.Log != watched.Log {
		t.Errorf("%s: the log without the watch\n%s\nwith it\n%s", protocol, bare.Log, watched.Log)
	}
	if testing.Verbose() {
		t.Logf("%s: %.300q %s", protocol, bare.Received, bare.Log)
	}
}

// can names the optional interfaces that a writer offers.
func can(w http.ResponseWriter) (names string) {
	_, flusher := w.(http.Flusher)
	_, flushError := w.(interface{ FlushError() error })
	_, hijacker := w.(http.Hijacker)
	_, pusher := w.(http.Pusher)
	_, readerFrom := w.(io.ReaderFrom)
	_, stringWriter := w.(io.StringWriter)
	_, closeNotifier := w.(interface{ CloseNotify() <-chan bool })
	_, readDeadline := w.(interface{ SetReadDeadline(time.Time) error })
	_, writeDeadline := w.(interface{ SetWriteDeadline(time.Time) error })
	_, fullDuplex := w.(interface{ EnableFullDuplex() error })
	return fmt.Sprint(" flusher ", flusher, " flushError ", flushError, " hijacker ", hijacker, " pusher ", pusher,
		" readerFrom ", readerFrom, " stringWriter ", stringWriter, " closeNotifier ", closeNotifier,
		" readDeadline ", readDeadline, " writeDeadline ", writeDeadline, " fullDuplex ", fullDuplex)
}

// Middleware in between keeps its interfaces, too: no more and no fewer.
func TestInterfacesOfAnyWriterAreKept(t *testing.T) {
	t.Parallel()
	type flushing struct {
		plainWriter
		http.Flusher
	}
	plain := plainWriter{&quietWriter{header: http.Header{}}}
	for _, rw := range []http.ResponseWriter{httptest.NewRecorder(), plain, flushing{plain, plain.w}, plain.w} {
		got := ""
		h := New(production).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { got = can(w) }))
		h.ServeHTTP(rw, httptest.NewRequest("GET", "/", nil))
		if want := can(rw); got != want {
			t.Errorf("%T: it has%s\nthe handler sees%s", rw, want, got)
		}
	}
}
