package static

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for _, c := range []struct {
		name, target string
		status       int
		body         string // all of it, or "" when only the status matters
	}{
		{"the root is its index", "/", 200, home},
		{"the index by its name", "/index.html", 200, home},
		{"a file", "/poem.txt", 200, poem},
		{"an empty file", "/empty.txt", 200, ""},
		{"an escaped name", "/a%20b&c.txt", 200, "spaces"},
		{"a query is ignored", "/poem.txt?v=1&../x", 200, poem},
		{"an absolute target", "http://site/poem.txt", 200, poem},
		{"an absolute target without path", "http://site", 200, home},
		{"slashes in a row count as one", "//deep///er//page.html", 200, "deep"},
		{"a folder is its index", "/docs/", 200, "docs"},
		{"a folder through a link", "/linked-docs/", 200, "docs"},
		{"a folder without index", "/bare/", 404, ""},
		{"a folder without index, no slash", "/bare", 404, ""},
		{"a file with a slash", "/poem.txt/", 404, ""},
		{"a file as a folder", "/poem.txt/x", 404, ""},
		{"missing", "/missing", 404, ""},
		{"a very long name", "/" + strings.Repeat("x", 5000), 404, ""},
		{"many levels", strings.Repeat("/x", 5000), 404, ""},

		{"a dotfile", "/.env", 404, ""},
		{"an escaped dotfile", "/%2eenv", 404, ""},
		{"a dot folder", "/.git/config", 404, ""},
		{"a dotfile below", "/docs/.htaccess", 404, ""},
		{"well-known", "/.well-known/security.txt", 200, "contact"},
		{"hidden in well-known", "/.well-known/.hidden", 404, ""},
		{"well-known is only at the top", "/docs/.well-known/x.txt", 404, ""},
		{"the folder well-known is not listed", "/.well-known/", 404, ""},

		{"dot dot", "/../secret.txt", 404, ""},
		{"dot dot to the end", "/docs/..", 404, ""},
		{"encoded slash", "/..%2f..%2fetc/passwd", 404, ""},
		{"encoded slash that would stay inside", "/private%2Fpage.txt", 404, ""},
		{"encoded dots", "/%2e%2e/secret.txt", 404, ""},
		{"encoded twice", "/%252e%252e/secret.txt", 404, ""},
		{"two slashes and a system folder", "//etc", 404, ""},
		{"two slashes and a system file", "//etc/passwd", 404, ""},
		{"backslashes", `/\..\..\etc\passwd`, 404, ""},
		{"backslashes without a slash", `\\..\\`, 400, ""},
		{"encoded backslash", "/..%5c..%5csecret.txt", 404, ""},
		{"NUL", "/poem.txt%00.html", 404, ""},
		{"not rooted", "poem.txt", 400, ""},
		{"an asterisk", "*", 404, ""},
		{"a bad escape", "/%zz", 400, ""},
		{"bad UTF-8", "/%ff%fe", 404, ""},

		{"a link inside", "/inside.txt", 200, poem},
		{"a link up and down inside", "/docs/also.html", 200, home},
		{"a link through a dot folder inside", "/config.txt", 200, "configmap"},
		{"a link to the outside", "/outside.txt", 404, ""},
		{"a link to the outside, below", "/docs/secret.txt", 404, ""},
		{"an absolute link", "/absolute.txt", 404, ""},
		{"an absolute link to the inside", "/abs-inside.txt", 404, ""},
		{"a link that leaves and returns", "/out-and-in.txt", 404, ""},
		{"through a link to the parent", "/up/secret.txt", 404, ""},
		{"through a link to a neighbour", "/neighbour/key.txt", 404, ""},
		{"an index that points out", "/bad/", 404, ""},
		{"a link to itself", "/loop", 404, ""},
		{"a link to nothing", "/dangling", 404, ""},
		{"a link to a device", "/null", 404, ""},

		{"a FIFO", "/fifo", 404, ""},
		{"a FIFO as index", "/piped/", 404, ""},
		{"a socket", "/socket", 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := raw(t, server, "GET", c.target)
			if got.StatusCode != c.status || c.body != "" && got.body != c.body {
				t.Errorf("GET %.80s: %d %q, want %d %q", c.target, got.StatusCode, got.body, c.status, c.body)
			}
			if strings.Contains(got.body, secret) || strings.Contains(got.body, os.TempDir()) {
				t.Errorf("GET %.80s tells %q", c.target, got.body)
			}
		})
	}
}

func TestRedirectsFoldersToTheirSlash(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for target, want := range map[string]string{
		"/docs":                    "./docs/",
		"/docs?q=1&r=%2F":          "./docs/?q=1&r=%2F",
		"/linked-docs":             "./linked-docs/",
		"//docs":                   "./docs/",
		"//docs?//evil.com":        "./docs/?//evil.com",
		"/http:evil.com":           "./http:evil.com/", // without "./" this would be another site
		"http://evil.com/docs":     "./docs/",
		"/docs?x=%0d%0aSet-Cookie": "./docs/?x=%0d%0aSet-Cookie",
	} {
		got := raw(t, server, "GET", target)
		if got.StatusCode != 301 || got.Header.Get("Location") != want {
			t.Errorf("GET %s: %d to %q, want 301 to %q", target, got.StatusCode, got.Header.Get("Location"), want)
		}
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get"} {
		for _, target := range []string{"/poem.txt", "/missing"} {
			got := raw(t, server, method, target)
			if got.StatusCode != 405 || got.Header.Get("Allow") != "GET, HEAD" || got.body != "405 Method Not Allowed\n" {
				t.Errorf("%s %s: %d, Allow %q, %q", method, target, got.StatusCode, got.Header.Get("Allow"), got.body)
			}
		}
	}
}

func TestHeadAnswersWithTheHeadersOfGet(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for _, target := range []string{"/", "/poem.txt", "/empty.txt", "/docs", "/missing", "/.env"} {
		for _, header := range []string{"X-None: 1", "Range: bytes=2-5", "Range: bytes=99-", `If-None-Match: *`} {
			get, head := raw(t, server, "GET", target, header), raw(t, server, "HEAD", target, header)
			get.Header.Del("Date")
			head.Header.Del("Date")
			if get.StatusCode != head.StatusCode || flat(t, get) != flat(t, head) || head.body != "" {
				t.Errorf("%s, %s:\nGET  %d %s\nHEAD %d %s", target, header,
					get.StatusCode, flat(t, get), head.StatusCode, flat(t, head))
			}
		}
	}
}

func flat(t *testing.T, a answer) string {
	t.Helper()
	var text strings.Builder
	must(t, a.Header.Write(&text))
	return text.String()
}

func TestEveryAnswerForbidsSniffing(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for _, target := range []string{"/", "/docs", "/missing", "/poem.txt"} {
		if got := raw(t, server, "GET", target, "Range: bytes=999-"); got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", target, got.Header)
		}
	}
}

func TestRefusalsAreFixedTexts(t *testing.T) {
	t.Parallel()
	server := serve(t)
	for _, target := range []string{"/missing", "/.env", "/outside.txt", "/fifo", "/bare/"} {
		if got := raw(t, server, "GET", target); got.body != "404 Not Found\n" {
			t.Errorf("%s: %q", target, got.body)
		}
	}
}

func TestNewRefusesWhatIsNoFolder(t *testing.T) {
	t.Parallel()
	root := site(t)
	for _, name := range []string{"", filepath.Join(root, "missing"), filepath.Join(root, "poem.txt")} {
		if h, err := New(name); err == nil || !strings.HasPrefix(err.Error(), "app.root: ") {
			t.Errorf("New(%q) = %v, %v", name, h, err)
		}
	}
}

func TestRootIsPinnedUntilReload(t *testing.T) {
	t.Parallel()
	root := site(t)
	h := handlerFor(t, root)
	must(t, os.Rename(root, root+".old"))
	write(t, filepath.Join(root, "poem.txt"), "new release")
	if got := get(h, "/poem.txt"); got.Body.String() != poem {
		t.Errorf("after replacing the folder: %d %q", got.Code, got.Body)
	}
	if got := get(handlerFor(t, root), "/poem.txt"); got.Body.String() != "new release" {
		t.Errorf("a new handler: %d %q", got.Code, got.Body)
	}
	must(t, os.RemoveAll(root+".old"))
	if got := get(h, "/poem.txt"); got.Code != 404 {
		t.Errorf("after removing the folder: %d %q", got.Code, got.Body)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	h := handlerFor(t, site(t))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 20 {
				if got := get(h, "/poem.txt"); got.Body.String() != poem {
					t.Errorf("%d %q", got.Code, got.Body)
				}
			}
		})
	}
	wait.Wait()
}

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	return w
}

// copied notes what it is asked to copy from, as a connection would.
type copied struct {
	*httptest.ResponseRecorder
	from io.Reader
}

func (c *copied) ReadFrom(r io.Reader) (int64, error) {
	c.from = r
	return io.Copy(c.ResponseRecorder, r)
}

func TestSendfileStaysPossible(t *testing.T) {
	t.Parallel()
	w := &copied{ResponseRecorder: httptest.NewRecorder()}
	handlerFor(t, site(t)).ServeHTTP(w, httptest.NewRequest("GET", "/poem.txt", nil))
	limited, ok := w.from.(*io.LimitedReader)
	if !ok {
		t.Fatalf("copied from %T", w.from)
	}
	if _, ok := limited.R.(*os.File); !ok {
		t.Errorf("copied from %T, which net cannot send by sendfile", limited.R)
	}
}
