package static

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestContentTypes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a.html": "text/html; charset=utf-8", "A.HTML": "text/html; charset=utf-8",
		"a.css": "text/css; charset=utf-8", "a.js": "text/javascript; charset=utf-8", "a.mjs": "text/javascript; charset=utf-8",
		"a.json": "application/json", "a.svg": "image/svg+xml", "a.png": "image/png", "a.jpg": "image/jpeg",
		"a.webp": "image/webp", "a.avif": "image/avif", "a.ico": "image/x-icon", "a.txt": "text/plain; charset=utf-8",
		"a.xml": "text/xml; charset=utf-8", "a.wasm": "application/wasm", "a.woff2": "font/woff2",
		"a.pdf": "application/pdf", "a.mp4": "video/mp4", "a.tar.gz": "application/gzip",
		"LICENSE": "application/octet-stream", "a.unheard-of": "application/octet-stream", "a.": "application/octet-stream",
	} {
		if got := contentType(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestTypesAreWellFormed(t *testing.T) {
	t.Parallel()
	for ext, value := range types {
		if ext != strings.ToLower(ext) || ext[0] != '.' {
			t.Errorf("%s is never looked up", ext)
		}
		if strings.HasPrefix(value, "text/") != strings.HasSuffix(value, "; charset=utf-8") {
			t.Errorf("%s: %s: text, and only text, has a charset", ext, value)
		}
	}
}

func TestContentIsNotGuessed(t *testing.T) {
	t.Parallel()
	root := site(t)
	write(t, filepath.Join(root, "notes"), "<html><script>alert(1)</script>")
	if got := get(handlerFor(t, root), "/notes").Header().Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("Content-Type %s", got)
	}
}
