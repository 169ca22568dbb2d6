package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fugue-http/fugue/httpwatch"
)

// front is a proxy under watch, with a fake app behind it.
type front struct {
	*httptest.Server
	handler  *handler
	app      *app
	incident chan httpwatch.Incident
	back     chan uint64 // ids of incidents that have recovered
}

func newFront(t *testing.T, to http.Handler, limit time.Duration) *front {
	t.Helper()
	behind := httptest.NewServer(to)
	t.Cleanup(behind.Close)
	return frontOf(t, address{"tcp", behind.Listener.Addr().String()}, limit)
}

func frontOf(t *testing.T, to address, limit time.Duration) *front {
	t.Helper()
	f := &front{app: &app{died: make(chan struct{})}, incident: make(chan httpwatch.Incident, 9), back: make(chan uint64, 9)}
	f.handler = newHandler(upstream{to, f.app}, false)
	watch := httpwatch.New(httpwatch.Options{Timeout: limit,
		Overdue: func(in httpwatch.Incident) { f.incident <- in }, Recovered: func(id uint64) { f.back <- id }})
	f.Server = httptest.NewServer(watch.Handler(f.handler))
	t.Cleanup(f.Close)
	return f
}

// ask makes a request and returns its answer with the body read.
func ask(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestRequestReachesTheAppAsItWas(t *testing.T) {
	t.Parallel()
	var got *http.Request
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		w.Header().Set("X-App", "yes")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.Copy(w, r.Body)
	}), 0)
	req := request(t, "PUT", f.URL+"/a%2Fb//c?x=1;y&z=%zz", strings.NewReader("hello"))
	req.Host = "example.org"
	req.Header.Set("X-Forwarded-For", "10.0.0.1, 10.0.0.2")
	req.Header.Set("X-Forwarded-Proto", "https")
	req.Header.Set("Accept-Encoding", "br")
	resp, text := ask(t, req)
	if resp.StatusCode != http.StatusTeapot || text != "hello" || resp.Header.Get("X-App") != "yes" {
		t.Errorf("%s %v %q", resp.Status, resp.Header, text)
	}
	if got.RequestURI != "/a%2Fb//c?x=1;y&z=%zz" || got.Host != "example.org" || got.Method != "PUT" {
		t.Errorf("%s %s%s", got.Method, got.Host, got.RequestURI)
	}
	for name, want := range map[string]string{"X-Forwarded-For": "10.0.0.1, 10.0.0.2, 127.0.0.1", "X-Forwarded-Proto": "https",
		"X-Forwarded-Host": "example.org", "Accept-Encoding": "br"} {
		if h := got.Header.Get(name); h != want {
			t.Errorf("%s: %q, want %q", name, h, want)
		}
	}
}

func TestForwardedHeadersOverAUnixSocket(t *testing.T) {
	t.Parallel()
	var got http.Header
	f := newFront(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Clone() }), 0)
	for _, prior := range []string{"", "10.0.0.1"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "@"
		if prior != "" {
			r.Header.Set("X-Forwarded-For", prior)
		}
		f.handler.ServeHTTP(httptest.NewRecorder(), r)
		if h := got.Get("X-Forwarded-For"); h != prior || got.Get("X-Forwarded-Proto") != "http" {
			t.Errorf("after %q: %v", prior, got)
		}
	}
}

func TestAppThatRefusesIsABadGateway(t *testing.T) {
	t.Parallel()
	f := frontOf(t, address{"unix", filepath.Join(t.TempDir(), "none")}, 0)
	for _, method := range []string{"GET", "HEAD", "POST"} {
		resp, text := ask(t, request(t, method, f.URL, nil))
		want := "502 Bad Gateway\n"
		if method == "HEAD" {
			want = ""
		}
		if resp.StatusCode != http.StatusBadGateway || text != want || resp.ContentLength != 16 {
			t.Errorf("%s: %s, %d bytes, %q", method, resp.Status, resp.ContentLength, text)
		}
	}
}

func TestNothingGoesToThePortOfADeadApp(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	f := newFront(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }), 0)
	close(f.app.died)
	resp, _ := ask(t, request(t, "GET", f.URL, nil))
	if resp.StatusCode != http.StatusBadGateway || asked.Load() > 0 {
		t.Errorf("%s, asked %d times", resp.Status, asked.Load())
	}
}

func TestAppThatBreaksOffIsCut(t *testing.T) {
	t.Parallel()
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("part"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}), 0)
	resp, err := http.DefaultTransport.RoundTrip(request(t, "GET", f.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("a truncated answer looks whole: %q", text)
	}
}

// A client that breaks its body off is to blame itself.
// An app may answer before it has read the request, and go on reading: neither the
// answer nor the body is broken off.
func TestAppThatAnswersBeforeItHasTheBody(t *testing.T) {
	t.Parallel()
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		fmt.Fprint(w, "before ")
		_ = rc.Flush()
		_, _ = io.Copy(w, r.Body)
	}), 0)
	c, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 5\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("before "))
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "after")
	rest, err := io.ReadAll(resp.Body)
	if err != nil || string(first)+string(rest) != "before after" {
		t.Errorf("%q, %v", string(first)+string(rest), err)
	}
}

func TestBrokenBodyIsABadRequest(t *testing.T) {
	t.Parallel()
	f := newFront(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }), 0)
	c, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Error(resp.Status)
	}
}

// The client is answered in time; the handler waits for the app, which does not
// see that anybody has lost patience.
func TestOverdueRequestWaitsForTheApp(t *testing.T) {
	t.Parallel()
	answer, gone := make(chan struct{}), make(chan bool, 1)
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-answer:
			gone <- false
		case <-r.Context().Done():
			gone <- true
		}
	}), 50*time.Millisecond)
	resp, _ := ask(t, request(t, "GET", f.URL+"/slow", nil))
	in := <-f.incident
	if resp.StatusCode != http.StatusGatewayTimeout || in.Path != "/slow" || f.handler.inFlight.Load() != 1 {
		t.Errorf("%s, %+v", resp.Status, in)
	}
	if strings.Contains(in.Stack, "readLoop") || !strings.Contains(in.Stack, "proxy.(*handler).ServeHTTP") {
		t.Errorf("the stack of the incident:\n%s", in.Stack)
	}
	select {
	case <-f.back:
		t.Error("recovered before the app has answered")
	default:
	}
	close(answer)
	if id := <-f.back; id != in.ID || <-gone {
		t.Errorf("recovered %d, or the app was told that its client has gone", id)
	}
}

// What ends because the app is stopped for it has not recovered.
func TestRequestOfAStoppedAppDoesNotRecover(t *testing.T) {
	t.Parallel()
	began, cut := make(chan struct{}), make(chan struct{})
	f := newFront(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(began)
		<-cut
		panic(http.ErrAbortHandler)
	}), 50*time.Millisecond)
	ask(t, request(t, "POST", f.URL, nil))
	<-began
	<-f.incident
	defer close(f.handler.end)
	f.handler.leaving.Store(true)
	close(cut)
	quiet := time.After(50 * time.Millisecond) // nothing tells that nothing happens
	select {
	case <-f.back:
		t.Error("recovered")
	case <-quiet:
	}
}

func TestAppSeesThatItsClientHasGone(t *testing.T) {
	t.Parallel()
	began, gone := make(chan struct{}), make(chan struct{})
	f := newFront(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(gone)
	}), time.Minute)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-began
		leave()
	}()
	if resp, err := http.DefaultTransport.RoundTrip(request(t, "GET", f.URL, nil).WithContext(ctx)); err == nil {
		resp.Body.Close()
		t.Error(resp.Status)
	}
	<-gone
}

// The app may end a kept connection at the very moment it is used. Only what may
// be sent twice is sent over one.
func TestConnectionsAreKeptForWhatCanBeRepeated(t *testing.T) {
	t.Parallel()
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) }), 0)
	from := func(method string) string {
		_, text := ask(t, request(t, method, f.URL, nil))
		return text
	}
	first := from("GET")
	if again := from("GET"); again != first {
		t.Errorf("%s, then %s", first, again)
	}
	posts := []string{first, from("POST"), from("DELETE")}
	if slices.Sort(posts); len(slices.Compact(posts)) != 3 {
		t.Errorf("connections were used again: %v", posts)
	}
}

func TestKeptConnectionThatTheAppEnds(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // answers once on each connection, and ends it at the second request
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				if _, err := http.ReadRequest(in); err == nil {
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
				_, _ = http.ReadRequest(in)
			}()
		}
	}()
	f := frontOf(t, address{"tcp", ln.Addr().String()}, 0)
	for range 5 {
		if resp, text := ask(t, request(t, "GET", f.URL, nil)); text != "ok" {
			t.Errorf("%s: %q", resp.Status, text)
		}
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		_, _ = io.Copy(c, rw)
	}), 100*time.Millisecond)
	c, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	for i := range 3 {
		fmt.Fprintf(c, "%d\n", i)
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("%d\n", i) {
			t.Errorf("%q, %v", line, err)
		}
	}
}

// Each event arrives before the next one is sent, and the limit of requests is not
// for the stream.
func TestEventsArriveAtOnceAndHaveNoLimit(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	next := make(chan struct{})
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	}), limit)
	resp, err := http.DefaultTransport.RoundTrip(request(t, "GET", f.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for i := range 3 {
		if line, err := in.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("event %d: %q, %v", i, line, err)
		}
		_, _ = in.ReadString('\n')
		time.Sleep(limit) // together three times what a request may take
		next <- struct{}{}
	}
	if len(f.incident) > 0 {
		t.Errorf("%+v", <-f.incident)
	}
}

func TestComplaintsAreFew(t *testing.T) {
	t.Parallel()
	var c complaints
	now := time.Now()
	if n, ok := c.pass(now); !ok || n != 0 {
		t.Error("the first is not written")
	}
	for range 5 {
		if _, ok := c.pass(now.Add(complainEvery / 2)); ok {
			t.Error("written within the second")
		}
	}
	if n, ok := c.pass(now.Add(complainEvery)); !ok || n != 5 {
		t.Errorf("after a second: %d, %v", n, ok)
	}
}
