package static

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzTarget asks for any target at all. Whatever the answer, it does not hold
// the secret that lies outside and in dotfiles, and leads to no other site.
func FuzzTarget(f *testing.F) {
	for name := range files {
		f.Add("/" + name)
		f.Add("/docs/../" + name)
		f.Add("/" + url.PathEscape(name))
	}
	for name := range links {
		f.Add("/" + name)
		f.Add("//" + name + "/secret.txt")
	}
	for _, target := range []string{"/..%2f..%2fetc/passwd", "/%2e%2e/secret.txt", "//etc", `/\..\secret.txt`, "/up/up/secret.txt", "/fifo/", "/docs\x00", "//evil.com/docs", "/.%2e/secret.txt"} {
		f.Add(target)
	}
	h := handlerFor(f, site(f))
	f.Fuzz(func(t *testing.T, target string) {
		check(t, h, &url.URL{Path: target})
		if u, err := url.ParseRequestURI(target); err == nil {
			check(t, h, u)
		}
	})
}

func check(t *testing.T, h http.Handler, u *url.URL) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, &http.Request{Method: "GET", URL: u, Header: http.Header{}})
	if strings.Contains(w.Body.String(), secret) {
		t.Errorf("%q answers with the secret", u)
	}
	switch w.Code {
	case 200, 404:
	case 301:
		checkRedirect(t, w.Header().Get("Location"))
	default:
		t.Errorf("%q: status %d", u, w.Code)
	}
}

func checkRedirect(t *testing.T, location string) {
	t.Helper()
	to, err := url.Parse("https://here/x/y")
	must(t, err)
	if to, err = to.Parse(location); err != nil || to.Host != "here" || to.Scheme != "https" || !strings.HasSuffix(to.Path, "/") {
		t.Errorf("redirect to %q: %v, %v", location, to, err)
	}
}
