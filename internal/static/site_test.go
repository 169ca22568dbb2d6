package static

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	secret = "root:$6$NOT-FOR-YOU" // must never be in any answer
	home   = "<h1>home</h1>"
	poem   = "0123456789abcdefghijklmnopqrstuvwxyz"
)

// files are what the test site holds; a folder is made for each.
var files = map[string]string{
	"index.html":                home,
	"poem.txt":                  poem,
	"empty.txt":                 "",
	"a b&c.txt":                 "spaces",
	"deep/er/page.html":         "deep",
	"docs/index.html":           "docs",
	"http:evil.com/index.html":  "colon",
	"bare/file.txt":             "no index here",
	"private/page.txt":          "private",
	".env":                      secret,
	".git/config":               secret,
	"docs/.htaccess":            secret,
	".well-known/security.txt":  "contact",
	".well-known/.hidden":       secret,
	"docs/.well-known/x.txt":    secret,
	"..data/config.txt":         "configmap",
	"../secret.txt":             secret,
	"../site-neighbour/key.txt": secret,
}

// links are symbolic links in the site; SITE stands for its path.
var links = map[string]string{
	"outside.txt":     "../secret.txt",
	"absolute.txt":    "SITE/../secret.txt",
	"inside.txt":      "poem.txt",
	"abs-inside.txt":  "SITE/poem.txt",
	"up":              "..",
	"loop":            "loop",
	"dangling":        "nowhere",
	"config.txt":      "..data/config.txt",
	"docs/also.html":  "../index.html",
	"null":            "/dev/null",
	"linked-docs":     "docs",
	"bad/index.html":  "../../secret.txt",
	"neighbour":       "../site-neighbour",
	"out-and-in.txt":  "../site/poem.txt",
	"docs/secret.txt": "../../secret.txt",
}

// site builds the folder and returns its path.
func site(t testing.TB) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "site")
	for name, content := range files {
		write(t, filepath.Join(root, name), content)
	}
	for name, to := range links {
		to = strings.Replace(to, "SITE", root, 1)
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		must(t, os.Symlink(to, filepath.Join(root, name)))
	}
	must(t, syscall.Mkfifo(filepath.Join(root, "fifo"), 0o644))
	must(t, os.MkdirAll(filepath.Join(root, "piped"), 0o755))
	must(t, syscall.Mkfifo(filepath.Join(root, "piped", "index.html"), 0o644))
	socket(t, filepath.Join(root, "socket"))
	return root
}

func write(t testing.TB, name, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o755))
	must(t, os.WriteFile(name, []byte(content), 0o644))
	old := time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.UTC)
	must(t, os.Chtimes(name, old, old))
}

// socket leaves a Unix socket in the file system. Its path is often too long for
// sun_path, so it is made through the descriptor of its folder.
func socket(t testing.TB, name string) {
	t.Helper()
	folder, err := os.Open(filepath.Dir(name))
	must(t, err)
	defer folder.Close()
	l, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(name)))
	must(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, l.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func handlerFor(t testing.TB, root string) http.Handler {
	t.Helper()
	h, err := New(root)
	must(t, err)
	return h
}

func serve(t testing.TB) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handlerFor(t, site(t)))
	t.Cleanup(server.Close)
	return server
}

type answer struct {
	*http.Response
	body string
}

// raw sends the request line as it stands, which no client library would, and
// the header lines given.
func raw(t testing.TB, server *httptest.Server, method, target string, header ...string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	lines := append([]string{method + " " + target + " HTTP/1.1", "Host: site", "Connection: close"}, header...)
	_, err = io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n")
	must(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	must(t, err)
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return answer{res, string(body)}
}
