package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// A route is one line of the API.
type route struct {
	method, path string
	serve        func(*Server, request) (any, error)
	wait         func(*Server, http.ResponseWriter, request) // the same with ?wait=1, until the outcome; nil if that means nothing
}

// request is what a route needs of one.
type request struct {
	body []byte
	conn *conn
}

var routes = []route{
	{http.MethodGet, "/status", (*Server).status, nil},
	{http.MethodGet, "/incidents", (*Server).incidents, nil},
	{http.MethodGet, "/healthz", (*Server).healthz, nil},
	{http.MethodGet, "/readyz", (*Server).readyz, nil},
	{http.MethodPost, "/reload", (*Server).reload, (*Server).waitForReload},
	{http.MethodPost, "/upgrade", (*Server).upgrade, (*Server).waitForUpgrade},
	{http.MethodPost, "/scale", (*Server).scale, nil},
	{http.MethodPost, "/stop", (*Server).stop, (*Server).stopAndHold},
	{http.MethodPost, "/reopen-logs", (*Server).reopenLogs, nil},
}

// failure is an error with the code of its answer.
type failure struct {
	code int
	text string
}

func (f failure) Error() string { return f.text }

func fail(code int, format string, args ...any) error {
	return failure{code, fmt.Sprintf(format, args...)}
}

// ServeHTTP reads the request whole before anything is done about it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil { // a bug here must not end the master
			reply(w, nil, fail(http.StatusInternalServerError, "internal error: %v", p))
		}
	}()
	rt, err := find(w, r)
	if err != nil {
		reply(w, nil, err)
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		reply(w, nil, err)
		return
	}
	req := request{body, connOf(r.Context())}
	if !req.conn.whole() {
		return // it was sent away meanwhile, so nothing must be done for it
	}
	if rt.wait != nil && r.URL.Query().Get("wait") == "1" {
		rt.wait(s, w, req)
		return
	}
	answer, err := rt.serve(s, req)
	reply(w, answer, err)
}

// find returns the route, or says which there are.
func find(w http.ResponseWriter, r *http.Request) (route, error) {
	var paths []string
	for _, rt := range routes {
		if rt.path != r.URL.Path {
			paths = append(paths, rt.method+" "+rt.path)
			continue
		}
		if rt.method == r.Method {
			return rt, nil
		}
		w.Header().Set("Allow", rt.method)
		return route{}, fail(http.StatusMethodNotAllowed, "%s takes %s only", rt.path, rt.method)
	}
	return route{}, fail(http.StatusNotFound, "there is no %q here, but: %s", r.URL.Path, strings.Join(paths, ", "))
}

// readBody reads a small body and refuses a large one unread.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := fail(http.StatusRequestEntityTooLarge, "the body may have %d bytes", maxBody)
	if r.ContentLength > maxBody {
		w.Header().Set("Connection", "close")
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge
	case err != nil:
		return nil, fail(http.StatusBadRequest, "the body could not be read: %v", err)
	}
	return body, nil
}

// reply writes the answer, or the error.
func reply(w http.ResponseWriter, answer any, err error) {
	code := http.StatusOK
	if err != nil {
		code, answer = answerTo(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(encode(answer))
}

// answerTo is what an error is to the client.
func answerTo(err error) (code int, answer any) {
	code = http.StatusInternalServerError
	var f failure
	if errors.As(err, &f) {
		code = f.code
	}
	return code, map[string]string{"error": err.Error()}
}

func encode(answer any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(answer); err != nil {
		panic("control: an answer always encodes: " + err.Error())
	}
	return PrintableJSON(b.Bytes())
}

// hold writes the answer without an end. The connection is left to the kernel,
// which closes it when the process is gone, whatever it died of; the goroutine
// that called ends earlier if the client does not wait for that. Until the answer
// is out the connection is the server's, so that Close waits for it.
func hold(w http.ResponseWriter, answer any) {
	w.Header().Set("Transfer-Encoding", "identity") // net/http's word for: ends with the connection
	reply(w, answer, nil)
	rc := http.NewResponseController(w)
	if rc.Flush() != nil {
		return
	}
	c, rest, err := rc.Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, rest)
}
