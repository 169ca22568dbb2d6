package control

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	stale := filepath.Join(dir, "stale")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: stale}))
	must(t, unix.Close(fd))
	for _, path := range []string{stale, filepath.Join(dir, "none")} {
		_, err := Dial(path)
		if want := "nothing listens on " + path + ": is fugue-http running with this file?"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	_, err = Dial(filepath.Join(dir, strings.Repeat("x", 120)))
	wantText(t, err, "invalid argument")
}

// stranger listens on a path and answers every connection with text; with "" it
// never answers.
func stranger(t *testing.T, text string) *Client {
	t.Helper()
	path := filepath.Join(shortDir(t), "s")
	l, err := net.Listen("unix", path)
	must(t, err)
	over := make(chan struct{})
	t.Cleanup(func() { l.Close(); close(over) })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if text == "" {
					<-over
				}
				_, _ = c.Write([]byte(text))
			}()
		}
	}()
	return &Client{path: path, limit: patience}
}

func TestWhatIsNotTheMasterIsToldApart(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"SSH-2.0-OpenSSH_9.2\r\n":                                                       "the connection ended before the answer",
		"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops":                     "answers 502 Bad Gateway: is it the control socket",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\noops":                              "the answer makes no sense",
		"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{}":                               "the connection ended before the answer",
		"HTTP/1.1 409 Conflict\r\nContent-Length: 18\r\n\r\n{\"error\":\"no, no\"}\r\n": "no, no",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			_, err := stranger(t, text).Status()
			wantText(t, err, want)
		})
	}
}

func TestTheClientDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	c := stranger(t, "")
	c.limit = 20 * time.Millisecond
	_, err := c.Status()
	wantText(t, err, "no answer within 20ms")
}

func TestAMasterThatDiesWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	l := startLoop(t, nil)
	got := make(chan error)
	go func() { _, err := l.client(t).Status(); got <- err }()
	await(t, "ask", l.asks)
	must(t, os.Remove(l.path))
	must(t, l.server.Close())
	wantText(t, await(t, "error", got), "the master is stopping")
}
