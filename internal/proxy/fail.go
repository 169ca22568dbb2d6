package proxy

import (
	"fmt"
	"log"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// fail answers a request that the app has not.
func (h *handler) fail(rw http.ResponseWriter, r *http.Request, err error) {
	h.stay()
	if s, _ := r.Context().Value(sourceKey{}).(*source); s != nil && s.broken.Load() {
		answer(rw, r, http.StatusBadRequest)
		return
	}
	if r.Context().Err() == nil { // else the client has gone
		h.log.say(fmt.Sprintf("%s %q: %v", r.Method, r.URL.Path, err))
	}
	answer(rw, r, http.StatusBadGateway)
}

// answer sends a whole response, down to the socket: the worker may be about to
// leave.
func answer(rw http.ResponseWriter, r *http.Request, status int) {
	text := fmt.Sprintf("%d %s\n", status, http.StatusText(status))
	h := rw.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	rw.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = rw.Write([]byte(text)) // the client may be gone
	}
	_ = http.NewResponseController(rw).Flush()
}

// complainEvery keeps an app that fails each request from filling the log.
const complainEvery = time.Second

// complaints are log lines, at most one a second.
type complaints struct {
	mu    sync.Mutex // guards all below
	last  time.Time
	muted int
}

func (c *complaints) say(text string) {
	if n, ok := c.pass(time.Now()); ok && n > 0 {
		log.Printf("proxy: %s (and %d lines like it)", text, n)
	} else if ok {
		log.Printf("proxy: %s", text)
	}
}

// pass says whether a line may be written, and how many were not.
func (c *complaints) pass(now time.Time) (muted int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.last.IsZero() && now.Sub(c.last) < complainEvery {
		c.muted++
		return 0, false
	}
	muted, c.muted, c.last = c.muted, 0, now
	return muted, true
}

// logger is for what the standard library has to say.
func (c *complaints) logger() *log.Logger { return log.New(c, "", 0) }

func (c *complaints) Write(line []byte) (int, error) {
	c.say(string(line[:max(len(line)-1, 0)])) // it ends with a newline
	return len(line), nil
}
