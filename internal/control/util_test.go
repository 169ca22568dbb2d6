package control

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fugue-http/fugue/sockets"
)

// patience is for what happens at once on an idle machine.
const patience = 20 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shortDir is a folder whose paths fit into an address, unlike t.TempDir's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func listen(path string) (*sockets.Listener, error) {
	return sockets.Listen(sockets.Address{Network: "unix", Path: path}, sockets.Options{Mode: 0o600, Owner: -1, Group: -1})
}

// fakeLoop answers as the master's loop would, one ask at a time.
type fakeLoop struct {
	path   string
	server *Server
	asks   chan Ask
	heard  chan Ask // what was asked, if somebody listens
}

func oneListener(string) (waiting, limit int) { return 3, 128 }

// startLoop serves with a loop that gives every ask the same answer; without an
// answer the loop is stuck.
func startLoop(t *testing.T, answer *Answer) *fakeLoop {
	t.Helper()
	l := &fakeLoop{path: filepath.Join(shortDir(t), "s"), asks: make(chan Ask), heard: make(chan Ask, 100)}
	ln, err := listen(l.path)
	must(t, err)
	l.server, err = Serve(ln, l.asks, oneListener)
	must(t, err)
	over := make(chan struct{})
	var loop sync.WaitGroup
	if answer != nil {
		loop.Go(func() { l.run(*answer, over) })
	}
	t.Cleanup(func() { l.server.Close(); close(over); loop.Wait() })
	return l
}

func (l *fakeLoop) run(answer Answer, over <-chan struct{}) {
	for {
		select {
		case a := <-l.asks:
			select {
			case l.heard <- a:
			default:
			}
			fresh := answer
			fresh.Status.Listeners = slices.Clone(answer.Status.Listeners)
			fresh.Status.Workers = slices.Clone(answer.Status.Workers)
			a.Reply(fresh)
		case <-over:
			return
		}
	}
}

func (l *fakeLoop) client(t *testing.T) *Client {
	t.Helper()
	c, err := Dial(l.path)
	must(t, err)
	return c
}

// connect opens a raw connection that is closed with the test.
func (l *fakeLoop) connect(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", l.path)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(patience)))
	return c
}

// raw sends text and returns the answer's code and body.
func (l *fakeLoop) raw(t *testing.T, text string) (*http.Response, string) {
	t.Helper()
	c := l.connect(t)
	_, err := io.WriteString(c, text)
	must(t, err)
	return readAnswer(t, c)
}

func readAnswer(t *testing.T, c net.Conn) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	must(t, err)
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp, string(body)
}

func request11(method, path, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
}

// wantError checks that body is {"error":…} with text in it.
func wantError(t *testing.T, body, text string) {
	t.Helper()
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got) != 1 || !strings.Contains(got["error"], text) {
		t.Errorf("got %s, want an error with %q", body, text)
	}
}

func wantText(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %q", err, text)
	}
}

func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("no %s", what)
	}
	return v
}
