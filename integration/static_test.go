package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// site makes a folder with what is to be served and what is not, and says where
// the secret beside it is.
func site(t *testing.T) (root, secret string) {
	t.Helper()
	dir := folder(t)
	root, secret = filepath.Join(dir, "public"), filepath.Join(dir, "secret")
	for path, text := range map[string]string{
		secret:                                 "SECRET",
		filepath.Join(root, "index.html"):      "<p>home",
		filepath.Join(root, "a b.txt"):         "spaced",
		filepath.Join(root, "sub/page.html"):   "<p>page",
		filepath.Join(root, "docs/index.html"): "<p>docs",
		filepath.Join(root, "sub/.htpasswd"):   "SECRET",
		filepath.Join(root, ".git/config"):     "SECRET",
		filepath.Join(root, ".env"):            "SECRET",
		filepath.Join(root, ".well-known/ok"):  "known",
		filepath.Join(root, "big"):             strings.Repeat("0123456789", 1000),
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"out": secret, "up": "..", "passwd": "/etc/passwd", "within": "sub/page.html"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root, secret
}

// raw sends exactly this request line and these headers, and returns the answer
// with its head.
func (s *server) raw(line, headers string) string {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", line, headers)
	text, err := io.ReadAll(c)
	if err != nil {
		s.t.Errorf("%s: %v", line, err)
	}
	return string(text)
}

// Over a folder as app.root nothing leaves but plain files beneath it (S30).
func TestStaticRoot(t *testing.T) {
	t.Parallel()
	root, _ := site(t)
	s := start(t, fmt.Sprintf("workers = 2\n[app]\nroot = %q\n", root))
	for _, c := range []struct {
		line   string
		status int
		body   string
	}{
		{"GET /", 200, "<p>home"},
		{"GET /index.html", 200, "<p>home"},
		{"GET /a%20b.txt", 200, "spaced"},
		{"GET /sub/page.html?q=/../x", 200, "<p>page"},
		{"GET //sub///page.html", 200, "<p>page"},
		{"GET /within", 200, "<p>page"},
		{"GET /.well-known/ok", 200, "known"},
		{"HEAD /index.html", 200, ""},
		{"GET /docs/", 200, "<p>docs"},
		{"GET /sub", 404, ""},
		{"GET /../secret", 404, ""},
		{"GET /sub/../../secret", 404, ""},
		{"GET /..%2fsecret", 404, ""},
		{"GET /%2e%2e/secret", 404, ""},
		{"GET /%2e%2e%2fsecret", 404, ""},
		{"GET /sub/..%5c..%5csecret", 404, ""},
		{"GET /sub/%2e%2e/%2e%2e/secret", 404, ""},
		{"GET /....//secret", 404, ""},
		{"GET /up/secret", 404, ""},
		{"GET /out", 404, ""},
		{"GET /passwd", 404, ""},
		{"GET /.env", 404, ""},
		{"GET /%2eenv", 404, ""},
		{"GET /.git/config", 404, ""},
		{"GET /sub/.htpasswd", 404, ""},
		{"GET /sub/", 404, ""}, // no listing
		{"GET /fifo", 404, ""},
		{"GET /index.html%00.txt", 404, ""},
		{"GET /index.html/", 404, ""},
		{"GET /nothing", 404, ""},
		{"GET http://other/../secret", 404, ""},
		{"GET secret", 400, ""},
		{"POST /", 405, ""},
		{"PUT /new", 405, ""},
		{"DELETE /index.html", 405, ""},
		{"TRACE /", 405, ""},
	} {
		answer := s.raw(c.line, "")
		head, body, _ := strings.Cut(answer, "\r\n\r\n")
		if !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", c.status)) || c.status == 200 && body != c.body {
			t.Errorf("%s: not %d but %q", c.line, c.status, answer)
		}
		for _, never := range []string{"SECRET", "root:", root, "page.html\"", "Server:"} {
			if strings.Contains(answer, never) {
				t.Errorf("%s: %q", c.line, answer)
			}
		}
	}
	if got := s.raw("GET /docs", ""); !strings.HasPrefix(got, "HTTP/1.1 301 ") || !strings.Contains(got, "Location: ./docs/\r\n") {
		t.Errorf("a folder without its slash: %q", got)
	}
	if _, err := os.Stat(filepath.Join(root, "index.html")); err != nil {
		t.Error(err)
	}
}

// A thousand ranges are not answered with megabytes (S30).
func TestStaticRanges(t *testing.T) {
	t.Parallel()
	root, _ := site(t)
	s := start(t, fmt.Sprintf("workers = 1\n[app]\nroot = %q\n", root))
	many := strings.TrimSuffix(strings.Repeat("0-0,2-2,", 1000), ",")
	if got := s.raw("GET /big", "Range: bytes="+many+"\r\n"); len(got) > 12_000 || !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("%d bytes, %q", len(got), got[:min(len(got), 200)])
	}
	if got := s.raw("GET /big", "Range: bytes=3-5\r\n"); !strings.HasPrefix(got, "HTTP/1.1 206 ") || !strings.HasSuffix(got, "\r\n\r\n345") {
		t.Errorf("%q", got)
	}
}

// The workers of a folder are another user as well: what that user may not read
// is not served, though root may (S30).
func TestStaticRootAsAnotherUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	root, _ := site(t)
	if err := os.Chmod(filepath.Join(root, "big"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, fmt.Sprintf("workers = 1\nuid = \"nobody\"\n[app]\nroot = %q\n", root))
	if got := s.get("/"); got != "<p>home" {
		t.Errorf("%q", got)
	}
	if got := s.raw("GET /big", ""); !strings.HasPrefix(got, "HTTP/1.1 403 ") && !strings.HasPrefix(got, "HTTP/1.1 404 ") {
		t.Errorf("a file that the user may not read: %q", got[:min(len(got), 200)])
	}
	checkRights(t, s.waitWorkers(1).Workers[0].PID, identity{uid: 65534, gid: 65534, groups: []int{65534}})
}

// The demonstration app of a start without anything to run shows no environment
// and no path of the machine to whoever asks.
func TestDemoKeepsSecrets(t *testing.T) {
	t.Parallel()
	dir, file := settings(t, "workers = 1\n"+demo)
	s := launchCommand(t, dir, withEnv(programs.fugue, []string{"-c", file}, "PASSWORD=pw-of-the-launcher"))
	s.waitReady()
	for _, path := range []string{"/", "/nothing", "/debug/pprof/", "/debug/vars"} {
		text := s.raw("GET "+path, "")
		if strings.Contains(text, "pw-of-the-launcher") || strings.Contains(text, dir) {
			t.Errorf("%s: %s", path, text)
		}
		if strings.HasPrefix(path, "/debug") && !strings.HasPrefix(text, "HTTP/1.1 404 ") {
			t.Errorf("%s: %s", path, text)
		}
	}
}
