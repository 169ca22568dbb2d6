package httpwatch

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"
)

// newSiteWithConns is newSite whose connections' contexts are handed out as they
// are accepted.
func newSiteWithConns(t *testing.T, opt Options, h http.HandlerFunc, changes ...func(*site)) (*site, <-chan context.Context) {
	t.Helper()
	conns := make(chan context.Context, 10)
	s := newSite(t, opt, h, append(changes, func(s *site) {
		s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			ctx = ConnContext(ctx, c)
			conns <- ctx
			return ctx
		}
	})...)
	return s, conns
}

// A draining worker leaves when no connection carries anything but answered
// stuck requests.
func TestOnlyStuck(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s, conns := newSiteWithConns(t, Options{Timeout: 20 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		<-release
	})
	resp, err := http.Get(s.URL)
	if err != nil || resp.StatusCode != 504 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	wait(t, "incident", s.overdue)
	conn := wait(t, "connection", conns)
	if !OnlyStuck(conn) {
		t.Error("a connection with nothing but a stuck request is not told")
	}
	close(release)
	wait(t, "recovery", s.recovered)
	if OnlyStuck(conn) {
		t.Error("still stuck though the handler has returned")
	}
	if OnlyStuck(context.Background()) {
		t.Error("a strange context is stuck")
	}
}

// Over HTTP/2 one stuck request does not speak for its neighbours.
func TestOnlyStuckHTTP2(t *testing.T) {
	t.Parallel()
	release := map[string]chan struct{}{"/one": make(chan struct{}), "/two": make(chan struct{}), "/long/": make(chan struct{})}
	started := make(chan struct{}, 3)
	s, conns := newSiteWithConns(t, Options{Timeout: 20 * time.Millisecond, Routes: []Route{{"/long/", time.Minute}}},
		func(w http.ResponseWriter, r *http.Request) {
			started <- struct{}{}
			<-release[r.URL.Path]
		}, withHTTP2)
	client := http2Client()
	long := s.status(client, "/long/")
	wait(t, "start of the neighbour", started)
	conn := wait(t, "connection", conns)
	if got := wait(t, "answer", s.status(client, "/one")); got != 504 {
		t.Error(got)
	}
	wait(t, "incident", s.overdue)
	if OnlyStuck(conn) {
		t.Error("the neighbour is forgotten")
	}
	close(release["/long/"])
	if got := wait(t, "answer", long); got != 200 {
		t.Error(got)
	}
	if !OnlyStuck(conn) {
		t.Error("only a stuck one is left, and it is not told")
	}
	if got := wait(t, "answer", s.status(client, "/two")); got != 504 {
		t.Error(got)
	}
	wait(t, "incident", s.overdue)
	if snap := s.watch.Snapshot(); !OnlyStuck(conn) || snap.Stuck != 2 {
		t.Errorf("two stuck ones: %v, %+v", OnlyStuck(conn), snap)
	}
	close(release["/one"])
	close(release["/two"])
	wait(t, "recovery", s.recovered)
	wait(t, "recovery", s.recovered)
	if snap := s.watch.Snapshot(); OnlyStuck(conn) || snap.Stuck != 0 {
		t.Errorf("afterwards: %v, %+v", OnlyStuck(conn), snap)
	}
}
