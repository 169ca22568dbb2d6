package httpwatch

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keptCase is a handler that does one thing, and a request for it.
type keptCase struct {
	handler http.HandlerFunc
	send    string // as HTTP/1; "" = a plain GET
	logs    bool   // the server logs something over HTTP/2, too
	only1   bool   // it makes sense, or ends the same each time, over HTTP/1 only
}

func bufioReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }

func request1(method, headers, body string) string {
	return fmt.Sprintf("%s / HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", method, headers, len(body), body)
}

func get(method string) string { return method + " / HTTP/1.1\r\nHost: x\r\n\r\n" }

// testFile is one that takes more than a few pieces.
func testFile(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(name, bytes.Repeat([]byte("0123456789abcdef"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	past := time.Unix(1e9, 0)
	if err := os.Chtimes(name, past, past); err != nil {
		t.Fatal(err)
	}
	return name
}

func keptCases(t *testing.T) map[string]keptCase {
	all := map[string]keptCase{}
	for _, some := range []map[string]keptCase{plainCases(), headerCases(), fileCases(testFile(t)), controlCases(), bodyCases()} {
		for name, c := range some {
			all[name] = c
		}
	}
	return all
}

func plainCases() map[string]keptCase {
	hello := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Etag", `"1"`)
			w.WriteHeader(code)
			n, err := io.WriteString(w, "perhaps")
			println2(w, n, err)
		}
	}
	return map[string]keptCase{
		"hello":           {handler: hello},
		"HEAD":            {handler: hello, send: get("HEAD")},
		"HTTP/1.0":        {handler: hello, send: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", only1: true},
		"201":             {handler: status(201)},
		"204":             {handler: status(204)},
		"304":             {handler: status(304)},
		"nothing":         {handler: func(http.ResponseWriter, *http.Request) {}},
		"nothing of HEAD": {handler: func(http.ResponseWriter, *http.Request) {}, send: get("HEAD")},
		"empty write":     {handler: func(w http.ResponseWriter, _ *http.Request) { w.Write(nil); w.WriteHeader(404) }},
		"large": {handler: func(w http.ResponseWriter, _ *http.Request) {
			for i := range 25 {
				fmt.Fprintf(w, "%d %s\n", i, strings.Repeat("x", i*400))
			}
		}},
		"one large write": {handler: func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<18)) }},
		"gzip inside": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, strings.Repeat("hello ", 1000))
			z.Close()
		}},
		"panic": {handler: func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "never seen")
			panic("as it happens")
		}, logs: true},
		"panic after a flush": {handler: func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "seen")
			w.(http.Flusher).Flush()
			panic("as it happens")
		}, only1: true},
		"abort":    {handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"bad code": {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(42) }, logs: true},
		"bad code, then a good one": {handler: func(w http.ResponseWriter, _ *http.Request) {
			defer func() {
				recover()
				w.Header().Set("X-Recovered", "yes")
				http.Error(w, "sorry", 500)
			}()
			w.WriteHeader(42)
		}},
		"superfluous": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			w.WriteHeader(202)
			w.WriteHeader(42)
		}},
	}
}

// println2 lets a handler's view into the answer: the last header that can be
// set there is a trailer.
func println2(w http.ResponseWriter, a ...any) {
	w.Header().Set(http.TrailerPrefix+"X-Saw", fmt.Sprint(a...))
}

func headerCases() map[string]keptCase {
	return map[string]keptCase{
		"only headers": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X-Many"] = []string{"1", "2"}
			w.Header().Set("Content-Type", "text/x")
		}},
		"header after the write": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Before", "1")
			io.WriteString(w, "x")
			w.Header().Set("X-After", "1")
			w.Header().Del("X-Before")
		}},
		"no date, no type": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"], w.Header()["Content-Type"] = nil, nil
			io.WriteString(w, "<html>")
		}},
		"trailers": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum, X-Other")
			w.Header().Set("X-Other", "early")
			io.WriteString(w, "body")
			w.Header().Set("X-Sum", "42")
			w.Header().Set("X-Undeclared", "no")
		}},
		"trailers with a prefix": {handler: func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "body")
			w.(http.Flusher).Flush()
			w.Header().Set(http.TrailerPrefix+"X-Sum", "42")
		}},
		"trailers without a body": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			w.WriteHeader(200)
			w.Header().Set("X-Sum", "42")
		}},
		"early hints": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(103)
			w.Header().Add("Link", "</script.js>; rel=preload")
			w.WriteHeader(103)
			w.Header().Del("Link")
			w.Header().Set("X-Final", "1")
			io.WriteString(w, "done")
		}},
		"early hints only": {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103) }},
		"length": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			io.WriteString(w, "four")
		}},
		"length of HEAD": {handler: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "4") }, send: get("HEAD")},
		"length too small": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			io.WriteString(w, "four")
			_, err := io.WriteString(w, "five")
			println2(w, err)
		}},
		"length too large": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "40")
			io.WriteString(w, "four")
		}, only1: true},
		"length that is none": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "many")
			io.WriteString(w, "four")
		}},
		"asks to close": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			io.WriteString(w, "bye")
		}, only1: true},
		"what it can do": {handler: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, can(w)) }},
	}
}

func fileCases(name string) map[string]keptCase {
	file := func(use func(http.ResponseWriter, *http.Request, *os.File)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			f, err := os.Open(name)
			if err != nil {
				panic(err)
			}
			defer f.Close()
			use(w, r, f)
		}
	}
	content := file(func(w http.ResponseWriter, r *http.Request, f *os.File) {
		http.ServeContent(w, r, "file.txt", time.Unix(1e9, 0), f)
	})
	copied := func(w http.ResponseWriter, _ *http.Request, f *os.File) { io.Copy(w, f) }
	return map[string]keptCase{
		"ServeContent":         {handler: content},
		"ServeContent, a part": {handler: content, send: "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=1000-60000\r\n\r\n"},
		"ServeContent, HEAD":   {handler: content, send: get("HEAD")},
		"ServeContent, 304": {handler: content,
			send: "GET / HTTP/1.1\r\nHost: x\r\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n\r\n"},
		"file, chunked": {handler: file(copied)},
		"file with its length": {handler: file(func(w http.ResponseWriter, r *http.Request, f *os.File) {
			w.Header().Set("Content-Length", "80000")
			copied(w, r, f)
		})},
		"writes before a file": {handler: file(func(w http.ResponseWriter, r *http.Request, f *os.File) {
			io.WriteString(w, "first\n")
			copied(w, r, f)
			io.WriteString(w, "last\n")
		})},
		"an empty file, then 404": {handler: file(func(w http.ResponseWriter, r *http.Request, f *os.File) {
			n, err := io.Copy(w, io.LimitReader(f, 0))
			w.Header().Set("X-Copied", fmt.Sprint(n, err))
			w.WriteHeader(404)
		})},
		"a short file, then a header": {handler: file(func(w http.ResponseWriter, r *http.Request, f *os.File) {
			io.Copy(w, io.LimitReader(f, 10))
			w.Header().Set("X-Late", "1")
		})},
		"a reader": {handler: func(w http.ResponseWriter, _ *http.Request) {
			n, err := io.Copy(w, io.MultiReader(strings.NewReader("a"), bytes.NewReader(make([]byte, 100000))))
			println2(w, n, err)
		}},
		"an empty reader, then 404": {handler: func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(w, struct{ io.Reader }{strings.NewReader("")})
			w.WriteHeader(404)
		}},
	}
}

func controlCases() map[string]keptCase {
	return map[string]keptCase{
		"flushes": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			for range 3 {
				io.WriteString(w, "piece\n")
				if err := http.NewResponseController(w).Flush(); err != nil {
					panic(err)
				}
			}
		}},
		"hijack": {handler: func(w http.ResponseWriter, _ *http.Request) {
			conn, buf, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			_, err = w.Write([]byte("x"))
			w.WriteHeader(200)
			fmt.Fprintf(buf, "mine now: %v\n", err)
			buf.Flush()
			conn.Close()
		}, only1: true},
		"no hijack over HTTP/2": {handler: func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 {
				_, _, err := http.NewResponseController(w).Hijack()
				io.WriteString(w, err.Error())
			}
		}},
		"deadlines": {handler: func(w http.ResponseWriter, _ *http.Request) {
			c := http.NewResponseController(w)
			fmt.Fprint(w, c.SetReadDeadline(time.Now().Add(time.Hour)), c.SetWriteDeadline(time.Now().Add(time.Hour)))
		}},
		"a write deadline that is over": {handler: func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "never seen")
			http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
		}, only1: true},
		"full duplex": {handler: func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
				panic(err)
			}
			io.WriteString(w, "before\n")
			w.(http.Flusher).Flush()
			io.Copy(w, r.Body)
		}, send: request1("POST", "", "the body")},
		"close notify": {handler: func(w http.ResponseWriter, _ *http.Request) {
			//lint:ignore SA1019 old handlers use it
			c := w.(http.CloseNotifier).CloseNotify()
			fmt.Fprint(w, c != nil)
		}},
		"push": {handler: func(w http.ResponseWriter, _ *http.Request) {
			if p, ok := w.(http.Pusher); ok {
				fmt.Fprint(w, p.Push("/other", nil))
			}
		}},
	}
}

func bodyCases() map[string]keptCase {
	echo := func(w http.ResponseWriter, r *http.Request) {
		all, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%q %v %v %v", all, err, r.ContentLength, r.Trailer)
	}
	ignore := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "not read") }
	limited := func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 10)
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	}
	return map[string]keptCase{
		"no body": {handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Body == http.NoBody) }, only1: true},
		"body":    {handler: echo, send: request1("POST", "", "some body")},
		"chunked body with trailers": {handler: echo, only1: true,
			send: "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n3\r\nabc\r\n0\r\nX-End: yes\r\n\r\n"},
		"100-continue":          {handler: echo, send: request1("POST", "Expect: 100-continue\r\n", "body"), only1: true},
		"100-continue, no":      {handler: ignore, send: "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", only1: true},
		"an explicit 100":       {handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(100); echo(w, r) }, send: request1("POST", "Expect: 100-continue\r\n", "body"), only1: true},
		"body that is not read": {handler: ignore, send: request1("POST", "", strings.Repeat("x", 1000)), only1: true},
		"body that is closed": {handler: func(w http.ResponseWriter, r *http.Request) {
			r.Body.Close()
			_, err := r.Body.Read(make([]byte, 1))
			fmt.Fprint(w, err)
		}, send: request1("POST", "", "body")},
		"a body within its limit": {handler: limited, send: request1("POST", "", "0123456789")},
		"a body beyond its limit": {handler: limited, send: request1("POST", "", strings.Repeat("x", 50))},
		"body read late": {handler: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Repeat("answer ", 1000))
			echo(w, r)
		}, send: request1("POST", "", "body"), only1: true},
		"form": {handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.FormValue("a")) },
			send: request1("POST", "Content-Type: application/x-www-form-urlencoded\r\n", "a=1&b=2")},
	}
}
