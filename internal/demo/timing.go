package demo

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	longestSleep = 5 * time.Minute
	mostLines    = 1000
	longestPause = 10 * time.Second
)

// sleep answers after ?for=, unless the request is cancelled before.
func (a app) sleep(w http.ResponseWriter, r *http.Request) {
	pause, err := duration(r, "for", 2*time.Second, longestSleep)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !rest(r.Context(), pause) {
		http.Error(w, "sleep was cancelled", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, "%s slept for %s\n", a.whoami(), pause)
}

// stream writes ?n= lines, one ?every= so often, and ends when the client does.
func (a app) stream(w http.ResponseWriter, r *http.Request) {
	n, err := count(r, "n", 10, mostLines)
	pause, err2 := duration(r, "every", 500*time.Millisecond, longestPause)
	if err == nil {
		err = err2
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Method == http.MethodHead {
		return // the headers are all there is
	}
	a.lines(w, r, n, pause)
}

func (a app) lines(w http.ResponseWriter, r *http.Request, n int, pause time.Duration) {
	flusher := http.NewResponseController(w)
	for i := 1; ; i++ {
		fmt.Fprintf(w, "line %d of %d from %s\n", i, n, a.whoami())
		if err := flusher.Flush(); err != nil {
			return // the client has gone
		}
		if i == n || !rest(r.Context(), pause) {
			return
		}
	}
}

// rest waits, and reports whether it could to the end.
func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func duration(r *http.Request, key string, usual, most time.Duration) (time.Duration, error) {
	text := r.FormValue(key)
	if text == "" {
		return usual, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > most {
		return 0, fmt.Errorf("%s=%.40q: want a duration from 0s to %s, such as %s", key, text, most, usual)
	}
	return d, nil
}

func count(r *http.Request, key string, usual, most int) (int, error) {
	text := r.FormValue(key)
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%s=%.40q: want a number from 1 to %d, such as %d", key, text, most, usual)
	}
	return n, nil
}
