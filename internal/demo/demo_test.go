package demo

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

var someone = Info{WorkerID: 3, Generation: 7, Version: "1.2.3"}

func ask(method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	New(someone).ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	me := fmt.Sprintf("worker 3, pid %d", os.Getpid())
	for _, c := range []struct {
		name, method, target, body string
		status                     int
		want                       string
	}{
		{"hello", "GET", "/hello", "", 200, "hello from " + me + "\n"},
		{"health", "GET", "/healthz", "", 200, "ok\n"},
		{"sleep for nothing", "GET", "/sleep?for=0s", "", 200, me + " slept for 0s\n"},
		{"sleep for words", "GET", "/sleep?for=ever", "", 400, "for=\"ever\": want a duration from 0s to 5m0s, such as 2s\n"},
		{"sleep without unit", "GET", "/sleep?for=2", "", 400, "for=\"2\": want a duration from 0s to 5m0s, such as 2s\n"},
		{"sleep backwards", "GET", "/sleep?for=-1s", "", 400, "for=\"-1s\": want a duration from 0s to 5m0s, such as 2s\n"},
		{"sleep too long", "GET", "/sleep?for=301s", "", 400, "for=\"301s\": want a duration from 0s to 5m0s, such as 2s\n"},
		{"stream", "GET", "/stream?n=2&every=0s", "", 200, "line 1 of 2 from " + me + "\nline 2 of 2 from " + me + "\n"},
		{"stream nothing", "GET", "/stream?n=0", "", 400, "n=\"0\": want a number from 1 to 1000, such as 10\n"},
		{"stream too much", "GET", "/stream?n=1001", "", 400, "n=\"1001\": want a number from 1 to 1000, such as 10\n"},
		{"stream too slowly", "GET", "/stream?every=11s", "", 400, "every=\"11s\": want a duration from 0s to 10s, such as 500ms\n"},
		{"head of a stream", "HEAD", "/stream?n=1000&every=10s", "", 200, ""},
		{"stuck in another way", "GET", "/stuck?how=x", "", 400, "how=\"x\": want one of block, spin, sleep, mutex, read, recursion\n"},
		{"crash in another way", "GET", "/crash?how=x", "", 400, "how=\"x\": want one of panic, exit, abort\n"},
		{"echo", "POST", "/echo", "subject\x00answer", 200, "subject\x00answer"},
		{"echo nothing", "POST", "/echo", "", 200, ""},
		{"echo the most", "POST", "/echo", strings.Repeat("x", mostEchoed), 200, strings.Repeat("x", mostEchoed)},
		{"echo more", "POST", "/echo", strings.Repeat("x", mostEchoed+1), 413, "body larger than 1048576 bytes\n"},
		{"get echo", "GET", "/echo", "", 405, "Method Not Allowed\n"},
		{"post to a page", "POST", "/hello", "", 405, "Method Not Allowed\n"},
		{"post to crash", "POST", "/crash", "", 405, "Method Not Allowed\n"},
		{"unknown", "GET", "/unknown", "", 404, "404 page not found\n"},
		{"unknown below a route", "GET", "/hello/x", "", 404, "404 page not found\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := ask(c.method, c.target, c.body)
			if got.Code != c.status || got.Body.String() != c.want {
				t.Errorf("%d %.200q, want %d %.200q", got.Code, got.Body, c.status, c.want)
			}
			if h := got.Header(); h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", h)
			}
			if kind := got.Header().Get("Content-Type"); strings.Contains(kind, "html") {
				t.Errorf("Content-Type %s", kind)
			}
		})
	}
}

func TestHeadersAreEchoed(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/headers?a=%20b", nil)
	r.Host = "fugue.example"
	r.Header = http.Header{"B-Second": {"2", "3"}, "A-First": {"<script>"}}
	w := httptest.NewRecorder()
	New(someone).ServeHTTP(w, r)
	want := "GET /headers?a=%20b HTTP/1.1\nHost: fugue.example\nA-First: <script>\r\nB-Second: 2\r\nB-Second: 3\r\n"
	if w.Body.String() != want || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%q as %s", w.Body, w.Header().Get("Content-Type"))
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	got := ask("GET", "/environment", "").Body.String()
	for _, want := range []string{
		fmt.Sprintf("pid            %d, parent %d\n", os.Getpid(), os.Getppid()),
		"slot           3\n", "generation     7\n", "version        1.2.3, go1.",
		fmt.Sprintf("uid %d, euid %d, gid %d", os.Getuid(), os.Geteuid(), os.Getgid()),
		"goroutines     ", fmt.Sprintf("arguments      %q\n", os.Args),
		fmt.Sprintf("  PATH = %q\n", os.Getenv("PATH")),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}

func TestValuesOfOtherVariablesAreNotShown(t *testing.T) {
	t.Parallel()
	got := variables([]string{"TZ=UTC", "SECRET=hunter2", "PATHS=hunter2", "path=hunter2", "HOME=/root\nx=y", "EMPTY="})
	want := "  EMPTY\n  HOME = \"/root\\nx=y\"\n  PATHS\n  SECRET\n  TZ = \"UTC\"\n  path\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestEchoSaysWhenTheBodyBreaksOff(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	New(someone).ServeHTTP(w, httptest.NewRequest("POST", "/echo", io.MultiReader(strings.NewReader("x"), broken{})))
	if w.Code != 400 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestWelcome(t *testing.T) {
	t.Parallel()
	w := ask("GET", "/", "")
	got := w.Body.String()
	for _, want := range []string{
		"<dd>3</dd>", "<dd>7</dd>", "<dd>1.2.3</dd>", fmt.Sprintf("<dd>%d</dd>", os.Getpid()),
		fmt.Sprintf("kill -9 %d<", os.Getpid()), fmt.Sprintf("kill -TTIN %d\n", os.Getppid()),
		"fugue-http status", "fugue-http scale 4", `href="/stream?n=10&amp;every=500ms"`, "http://example.com/hello",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	for _, r := range (app{}).routes() {
		for _, link := range r.Links {
			if !strings.Contains(strings.ReplaceAll(got, "&amp;", "&"), link) {
				t.Errorf("no link to %s", link)
			}
		}
	}
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestWelcomeNeedsNothingElse(t *testing.T) {
	t.Parallel()
	w := ask("GET", "/", "")
	for _, banned := range []string{"<script", "src=", "@import", "url(", "https:", "//cdn"} {
		if strings.Contains(w.Body.String(), banned) {
			t.Errorf("the page contains %s", banned)
		}
	}
	if !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("headers %v", w.Header())
	}
	if fault := unbalanced(w.Body); fault != "" {
		t.Error(fault)
	}
}

// unbalanced says which element of the page is not closed in its turn.
func unbalanced(page io.Reader) string {
	var open []string
	for d := xml.NewDecoder(page); ; {
		token, err := d.RawToken()
		switch element := token.(type) {
		case xml.StartElement:
			if element.Name.Local != "meta" && element.Name.Local != "link" { // these have no end
				open = append(open, element.Name.Local)
			}
		case xml.EndElement:
			last := len(open) - 1
			if last < 0 || open[last] != element.Name.Local {
				return fmt.Sprintf("</%s> within %v", element.Name.Local, open)
			}
			open = open[:last]
		}
		if err == io.EOF && len(open) == 0 {
			return ""
		} else if err != nil {
			return fmt.Sprintf("%v within %v", err, open)
		}
	}
}

func TestWelcomeWithoutMaster(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "x;rm -rf $HOME" // it would stand in a line to be copied into a shell
	w := httptest.NewRecorder()
	New(Info{}).ServeHTTP(w, r)
	got := w.Body.String()
	if strings.Contains(got, "TTIN") || strings.Contains(got, "rm -rf") ||
		!strings.Contains(got, "<dd>none</dd>") || !strings.Contains(got, "<dd>development</dd>") {
		t.Error(got)
	}
}

// Every target on the page is one that a route answers, and every route is there.
func TestRoutesAnswerTheirLinks(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for _, r := range (app{}).routes() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		if len(r.Links) == 0 || r.Tells == "" {
			t.Errorf("%s is not explained", r.Pattern)
		}
		for _, link := range r.Links {
			if !strings.HasPrefix(link, path) {
				t.Errorf("%s links to %s", r.Pattern, link)
			}
			if path == "/stuck" || path == "/crash" {
				continue // see TestStuck, TestCrash
			}
			w := httptest.NewRecorder()
			New(someone).ServeHTTP(w, httptest.NewRequest(method, link, nil).WithContext(over))
			if want := map[bool]int{true: 503, false: 200}[path == "/sleep"]; w.Code != want {
				t.Errorf("%s: %d", link, w.Code)
			}
		}
	}
}
