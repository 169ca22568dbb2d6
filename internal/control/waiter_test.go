package control

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wait sends a reload that waits for its outcome, and returns what the loop is
// asked: the test is the loop.
func (l *fakeLoop) wait(t *testing.T, path string) (net.Conn, Ask) {
	t.Helper()
	c := l.connect(t)
	_, err := io.WriteString(c, request11("POST", path+"?wait=1", ""))
	must(t, err)
	a := await(t, "ask", l.asks)
	if a.Waiter == nil || a.Waiter.FD() < 3 {
		t.Fatalf("the loop got %+v", a)
	}
	return c, a
}

func wantAnswer(t *testing.T, c net.Conn, code int, text string) {
	t.Helper()
	resp, body := readAnswer(t, c)
	if resp.StatusCode != code || strings.TrimSpace(body) != text {
		t.Errorf("got %s %s, want %d %s", resp.Status, body, code, text)
	}
	if h := resp.Header; !resp.Close || h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("got %+v", resp)
	}
}

func TestAWaiterIsAnsweredWithTheOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path    string
		kind    Kind
		outcome Outcome
		code    int
		text    string
	}{
		{"/reload", AskReload, Outcome{Kind: "reload", OK: true, Generation: 3}, 200, `{"ok":true,"kind":"reload","generation":3}`},
		{"/upgrade", AskUpgrade, Outcome{Kind: "upgrade", OK: true, Generation: 1}, 200, `{"ok":true,"kind":"upgrade","generation":1}`},
		{"/reload", AskReload, Outcome{Kind: "reload", Reason: "u.toml:1: no\nu.toml:2: \x1b[31m"}, 500, `{"error":"u.toml:1: no\nu.toml:2: \u001b[31m"}`},
		{"/upgrade", AskUpgrade, Outcome{Kind: "upgrade"}, 500, `{"error":"the upgrade failed"}`},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			client, a := startLoop(t, nil).wait(t, c.path)
			if a.Kind != c.kind {
				t.Errorf("asked for %d", a.Kind)
			}
			a.Reply(Answer{})
			a.Waiter.Answer(c.outcome)
			wantAnswer(t, client, c.code, c.text)
		})
	}
}

func TestTheLongestReasonIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	client, a := startLoop(t, nil).wait(t, "/reload")
	a.Reply(Answer{})
	a.Waiter.Answer(Outcome{Kind: "reload", Reason: strings.Repeat("\x01", 10*maxReason)}) // nobody reads yet
	resp, body := readAnswer(t, client)
	if want := maxReason * len(`\u0001`); resp.StatusCode != 500 || len(body) < want {
		t.Errorf("got %s and %d bytes, want %d", resp.Status, len(body), want)
	}
}

func TestOnlyTheFirstAnswerCounts(t *testing.T) {
	t.Parallel()
	client, a := startLoop(t, nil).wait(t, "/reload")
	a.Reply(Answer{})
	var answers sync.WaitGroup
	for range 8 {
		answers.Go(func() { a.Waiter.Answer(Outcome{Kind: "reload", OK: true, Generation: 2}) })
	}
	answers.Wait()
	if fd := a.Waiter.FD(); fd != -1 {
		t.Errorf("it still has descriptor %d", fd)
	}
	wantAnswer(t, client, 200, `{"ok":true,"kind":"reload","generation":2}`)
	wantClosed(t, client)
}

func TestAWaiterTheLoopRefuses(t *testing.T) {
	t.Parallel()
	client, a := startLoop(t, nil).wait(t, "/reload")
	a.Reply(Answer{Refused: "an upgrade is under way"})
	wantAnswer(t, client, http.StatusConflict, `{"error":"an upgrade is under way"}`)
	a.Waiter.Answer(Outcome{Kind: "reload", OK: true}) // too late, and of no effect
}

func TestAWaiterTheLoopDoesNotAnswer(t *testing.T) {
	t.Parallel()
	l := startLoop(t, nil)
	l.server.limit = 20 * time.Millisecond
	client, a := l.wait(t, "/reload")
	wantAnswer(t, client, http.StatusServiceUnavailable, `{"error":"the master has not answered within 20ms"}`)
	a.Reply(Answer{})
	a.Waiter.Answer(Outcome{Kind: "reload", OK: true})
}

func TestAWaiterAtTheEndOfTheServer(t *testing.T) {
	t.Parallel()
	l := startLoop(t, nil)
	client, _ := l.wait(t, "/upgrade")
	must(t, l.server.Close())
	wantAnswer(t, client, http.StatusServiceUnavailable, `{"error":"the master is stopping"}`)
}

// The loop may have answered when the end comes: its word counts.
func TestARefusalIsNotLostAtTheEnd(t *testing.T) {
	t.Parallel()
	_, err := lastWord(func() <-chan Answer {
		a, reply := NewAsk(AskStop)
		a.Reply(Answer{Refused: "not now"})
		return reply
	}(), nil)
	wantText(t, err, "not now")
}

func TestAnAcceptedWaiterOutlivesTheServer(t *testing.T) {
	t.Parallel()
	l := startLoop(t, nil)
	client, a := l.wait(t, "/reload")
	a.Reply(Answer{})
	<-l.server.handing.empty()
	must(t, l.server.Close())
	a.Waiter.Answer(Outcome{Kind: "reload", Reason: "the master is stopping"})
	wantAnswer(t, client, 500, `{"error":"the master is stopping"}`)
}

func TestAWaiterThatHasLeft(t *testing.T) {
	t.Parallel()
	client, a := startLoop(t, nil).wait(t, "/reload")
	a.Reply(Answer{})
	must(t, client.Close())
	a.Waiter.Answer(Outcome{Kind: "reload", OK: true})
	if fd := a.Waiter.FD(); fd != -1 {
		t.Errorf("it still has descriptor %d", fd)
	}
}

func TestWaitersHoldNoPlace(t *testing.T) {
	t.Parallel()
	l := startLoop(t, nil)
	for range maxConns + 1 {
		_, a := l.wait(t, "/reload")
		a.Reply(Answer{})
		defer a.Waiter.Answer(Outcome{})
	}
}

// TestAWaiterInTheNextImage hands a descriptor over as exec does: without the
// flag, and with nothing else that was known of it.
func TestAWaiterInTheNextImage(t *testing.T) {
	t.Parallel()
	client, a := startLoop(t, nil).wait(t, "/upgrade")
	a.Reply(Answer{})
	if flags, err := unix.FcntlInt(uintptr(a.Waiter.FD()), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor is inherited by workers: %v", err)
	}
	fd, err := unix.Dup(a.Waiter.FD())
	must(t, err)
	next := RestoreWaiter(fd)
	for get, want := range map[int]int{unix.F_GETFD: unix.FD_CLOEXEC, unix.F_GETFL: unix.O_NONBLOCK} {
		if flags, err := unix.FcntlInt(uintptr(next.FD()), get, 0); err != nil || flags&want == 0 {
			t.Errorf("fcntl %d: %x, %v, want %x", get, flags, err, want)
		}
	}
	must(t, unix.Close(a.Waiter.FD())) // as exec does
	a.Waiter.fd.Store(-1)
	next.Answer(Outcome{Kind: "upgrade", OK: true, Generation: 9})
	wantAnswer(t, client, 200, `{"ok":true,"kind":"upgrade","generation":9}`)
	wantClosed(t, client)
}

func TestReloadsOverTheClient(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*Client, context.Context, bool) (Outcome, error){"reload": (*Client).Reload, "upgrade": (*Client).Upgrade} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := startLoop(t, nil)
			c := l.client(t)
			for _, want := range []Outcome{{Kind: name, OK: true, Generation: 4}, {Kind: name, Reason: "one\ntwo"}} {
				got := make(chan Outcome)
				go func() { // ends with the answer
					o, err := ask(c, t.Context(), true)
					if err != nil {
						t.Error(err)
					}
					got <- o
				}()
				a := await(t, "ask", l.asks)
				a.Reply(Answer{})
				a.Waiter.Answer(want)
				if o := await(t, "outcome", got); o != want {
					t.Errorf("got %+v, want %+v", o, want)
				}
			}
		})
	}
}

func TestAReloadNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	l := startLoop(t, &Answer{})
	o, err := l.client(t).Reload(t.Context(), false)
	if err != nil || o != (Outcome{Kind: "reload"}) {
		t.Errorf("got %+v, %v", o, err)
	}
	if a := await(t, "ask", l.heard); a.Kind != AskReload || a.Waiter != nil {
		t.Errorf("the loop got %+v", a)
	}
	for _, wait := range []bool{true, false} {
		_, err = startLoop(t, &Answer{Refused: "the server is stopping"}).client(t).Upgrade(t.Context(), wait)
		if err == nil || err.Error() != "the server is stopping" {
			t.Errorf("got %v", err)
		}
	}
}

func TestAWaitThatEndsWithoutAnOutcome(t *testing.T) {
	t.Parallel()
	l := startLoop(t, nil)
	c := l.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() { _, err := c.Upgrade(ctx, true); got <- err }()
	a := await(t, "ask", l.asks)
	a.Reply(Answer{})
	must(t, unix.Close(a.Waiter.FD())) // as the end of the process does
	wantText(t, await(t, "error", got), "the master ended before it answered")

	go func() { _, err := c.Upgrade(ctx, true); got <- err }()
	a = await(t, "ask", l.asks)
	a.Reply(Answer{})
	cancel()
	wantText(t, await(t, "error", got), "context canceled")
	a.Waiter.Answer(Outcome{})
}
