package worker

import (
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func get(t testing.TB, url string) string {
	t.Helper()
	c := keepAlive(t)
	defer c.CloseIdleConnections()
	return c.get(t, url)
}

// client keeps its connection, and fails the test on any error.
type client struct{ *http.Client }

func keepAlive(t testing.TB) client {
	c := client{&http.Client{Transport: &http.Transport{}, Timeout: limit}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func (c client) get(t testing.TB, url string) string {
	t.Helper()
	resp, body := c.do(t, url)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", url, resp.Status)
	}
	return body
}

func (c client) do(t testing.TB, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	check(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp, string(b)
}

// pending is a request to /echo whose body the test has not ended yet.
type pending struct {
	body   *io.PipeWriter
	answer chan answer
}

type answer struct {
	body string
	err  error
}

func begin(t testing.TB, s socket) *pending {
	t.Helper()
	return keepAlive(t).begin(t, s.url("/echo"))
}

func (c client) begin(t testing.TB, url string) *pending {
	t.Helper()
	r, w := io.Pipe()
	p := &pending{body: w, answer: make(chan answer, 1)}
	go func() {
		resp, err := c.Post(url, "text/plain", r)
		if err != nil {
			r.CloseWithError(err)
			p.answer <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		p.answer <- answer{string(b), err}
	}()
	t.Cleanup(func() { w.CloseWithError(errors.New("test over")) })
	return p
}

// sent returns when the client has sent the head and a first piece of the body.
func (p *pending) sent(t testing.TB) {
	t.Helper()
	_, err := io.WriteString(p.body, ".")
	check(t, err)
}

// finish ends the body with text and wants it back.
func (p *pending) finish(t testing.TB, text string) {
	t.Helper()
	_, err := io.WriteString(p.body, text)
	check(t, err)
	p.body.Close()
	a := within(t, "answer", p.answer)
	if a.err != nil || !strings.HasSuffix(a.body, text) {
		t.Errorf("answer %q, %v; want %q", a.body, a.err, text)
	}
}

// lost wants the request to have no answer. The body is ended first, since
// net/http's client reports a broken connection only after that.
func (p *pending) lost(t testing.TB, why string) {
	t.Helper()
	p.body.Close()
	if a := within(t, "answer", p.answer); a.err == nil {
		t.Errorf("answered %q, though %s", a.body, why)
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// awaitListening and awaitRefused poll: a port tells its state to callers only.
func awaitListening(t testing.TB, addr string) {
	t.Helper()
	awaitDial(t, addr, func(err error) bool { return err == nil })
}

func awaitRefused(t testing.TB, addr string) {
	t.Helper()
	awaitDial(t, addr, func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) })
}

func awaitDial(t testing.TB, addr string, ok func(error) bool) {
	t.Helper()
	var err error
	for bound := time.Now().Add(limit); time.Now().Before(bound); runtime.Gosched() {
		var c net.Conn
		if c, err = net.Dial("tcp", addr); err == nil {
			c.Close()
		}
		if ok(err) {
			return
		}
	}
	t.Fatalf("dial %s: %v, and no change within %v", addr, err, limit)
}
