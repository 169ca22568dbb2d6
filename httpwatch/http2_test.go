package httpwatch

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// Over HTTP/2 the client has status and body at once; its neighbours on the
// connection notice nothing.
func TestStuckStream(t *testing.T) {
	t.Parallel()
	release, started := make(chan struct{}), make(chan struct{}, 1)
	s, conns := newSiteWithConns(t, Options{Timeout: 50 * time.Millisecond, Routes: []Route{{"/long/", time.Minute}}},
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long/" {
				io.WriteString(w, "first ")
				w.(http.Flusher).Flush()
				started <- struct{}{}
			}
			<-release
			io.WriteString(w, "last")
		}, withHTTP2)
	client := http2Client()
	long, err := client.Get(s.URL + "/long/")
	if err != nil {
		t.Fatal(err)
	}
	defer long.Body.Close()
	wait(t, "neighbour", started)
	resp, err := client.Get(s.URL + "/stuck")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := make([]byte, resp.ContentLength)
	if _, err := io.ReadFull(resp.Body, body); err != nil || resp.StatusCode != 504 || string(body) != "504 Gateway Timeout\n" ||
		resp.ProtoMajor != 2 || resp.Header.Get("Connection") != "" {
		t.Errorf("%v %q %v", resp, body, err)
	}
	if in := wait(t, "incident", s.overdue); in.Status != 504 {
		t.Errorf("%+v", in)
	}
	close(release)
	if all, err := io.ReadAll(long.Body); string(all) != "first last" || err != nil {
		t.Errorf("the neighbour gets %q, %v", all, err)
	}
	if len(conns) != 1 {
		t.Errorf("%d connections", len(conns))
	}
}

// A handler that does not return leaves its stream open behind the answer; it is
// reset after a second, so that no client waits for its end for ever.
func TestStuckStreamEnds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := newSite(t, Options{Timeout: 20 * time.Millisecond}, func(http.ResponseWriter, *http.Request) { <-release }, withHTTP2)
	defer close(release)
	resp, err := http2Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	ended := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(resp.Body)
		ended <- string(all)
	}()
	if got := wait(t, "end of the stream", ended); got != "504 Gateway Timeout\n" {
		t.Errorf("%q", got)
	}
}

// With a part of the response out, this stream is reset and no other.
func TestHalfAStreamIsReset(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s, conns := newSiteWithConns(t, Options{Timeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/half" {
			return
		}
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		<-release
	}, withHTTP2)
	defer close(release)
	client := http2Client()
	resp, err := client.Get(s.URL + "/half")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if all, err := io.ReadAll(resp.Body); string(all) != "half" || err == nil || resp.StatusCode != 200 {
		t.Errorf("%d %q %v", resp.StatusCode, all, err)
	}
	if in := wait(t, "incident", s.overdue); in.Status != 0 {
		t.Errorf("%+v", in)
	}
	if got := wait(t, "neighbour", s.status(client, "/other")); got != 200 || len(conns) != 1 {
		t.Errorf("status %d, %d connections", got, len(conns))
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	for _, change := range []func(*site){withHTTP2, func(s *site) { s.Config.ConnContext = nil }, func(*site) {}} {
		s := newSite(t, Options{Timeout: 20 * time.Millisecond, Status: NoAnswer}, func(http.ResponseWriter, *http.Request) { <-release }, change)
		client := http.DefaultClient
		if s.Config.Protocols != nil {
			client = http2Client()
		}
		if got := wait(t, "end", s.status(client, "/")); got != 0 {
			t.Errorf("status %d", got)
		}
		if in := wait(t, "incident", s.overdue); in.Status != 0 {
			t.Errorf("%+v", in)
		}
	}
}
