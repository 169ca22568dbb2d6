package master

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/master/pool"
)

func connOf(t *testing.T, fd int) net.Conn {
	t.Helper()
	must(t, unix.SetNonblock(fd, true))
	f := os.NewFile(uintptr(fd), "client")
	defer f.Close()
	c, err := net.FileConn(f)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// answer is what the client is told, at the end of its connection.
func answer(t *testing.T, client net.Conn) string {
	t.Helper()
	must(t, client.SetReadDeadline(time.Now().Add(time.Minute)))
	text, err := io.ReadAll(client)
	must(t, err)
	return string(text)
}

func wantAnswer(t *testing.T, client net.Conn, parts ...string) {
	t.Helper()
	text := answer(t, client)
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("the client is told %q, want %q", text, part)
		}
	}
}

// A reload keeps a number of workers that was set at run time, unless the file's own
// number has changed; HUP brings back all that WINCH has sent away.
func TestNextWish(t *testing.T) {
	t.Parallel()
	const asItIs = -1
	for name, c := range map[string]struct {
		file, next   int // the number in the file, and in the next one
		wish, sentTo int // set at run time; sent away by WINCH
		want         int
	}{
		"nothing new":               {2, 2, 2, 0, asItIs},
		"another number":            {2, 5, 2, 0, 5},
		"set, as before":            {2, 2, 7, 0, asItIs},
		"set, another number":       {2, 5, 7, 0, 5},
		"set to what the file says": {2, 5, 5, 0, 5},
		"sent away":                 {2, 2, 0, 7, 7},
		"sent away, another number": {2, 5, 0, 7, 5},
		"sent away, one came back":  {2, 2, 1, 7, asItIs},
		"scaled to nothing":         {2, 2, 0, 0, asItIs},
	} {
		m := &master{gen: &generation{Workers: c.file}, pool: pool.New(pool.Limits{Workers: c.wish, Surge: 1}), sentAway: c.sentTo}
		if got := m.nextWish(&generation{Workers: c.next}); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// slowLoad is a file that takes as long as the test wants and is bad then.
type slowLoad struct{ begun, end chan struct{} }

func newSlowLoad(m *master) slowLoad {
	l := slowLoad{make(chan struct{}, 100), make(chan struct{})}
	m.opt.Load = func() (*config.Config, App, error) {
		l.begun <- struct{}{}
		<-l.end
		return nil, App{}, errors.New("the file is bad")
	}
	return l
}

// finishOne takes the outcome of the change that is under way, as the loop does.
func finishOne(t *testing.T, m *master) {
	t.Helper()
	select {
	case p := <-m.reports:
		m.report(p)
	case <-time.After(time.Minute):
		t.Fatal("nothing is reported")
	}
	if m.turn {
		m.takeTurn()
	}
}

// However often a reload is asked for while one runs, there is one more.
func TestManyRequestsAreOne(t *testing.T) {
	t.Parallel()
	m := idleMaster(t)
	m.started = true
	load := newSlowLoad(m)
	first, w := waiterPair(t)
	if refused := m.request(reload, w); refused != "" {
		t.Fatal(refused)
	}
	<-load.begun
	running := m.change
	for range 100 {
		if refused := m.request(reload, nil); refused != "" {
			t.Fatal(refused)
		}
	}
	last, w := waiterPair(t)
	if refused := m.request(reload, w); refused != "" || m.change != running || m.queued == nil || m.queued.kind != reload {
		t.Fatalf("%q, queued %+v", refused, m.queued)
	}
	load.end <- struct{}{}
	finishOne(t, m)
	wantAnswer(t, first, "500 Internal Server Error", "the file is bad")
	<-load.begun
	if m.change == nil || m.change == running || m.queued != nil {
		t.Fatalf("after the first one runs %+v, queued %+v", m.change, m.queued)
	}
	load.end <- struct{}{}
	finishOne(t, m)
	wantAnswer(t, last, "the file is bad")
	if m.change != nil || m.queued != nil || m.turn || len(load.begun) != 0 {
		t.Errorf("there is more to do: %+v, %+v", m.change, m.queued)
	}
	if r := m.lastReload; r.Kind != reload || r.Result != "failed" || r.Reason != "the file is bad" {
		t.Errorf("last reload: %+v", r)
	}
}

// An upgrade includes a reload, so what waits becomes the greater of the two.
func TestAnUpgradeGoesBeforeAReload(t *testing.T) {
	t.Parallel()
	for name, kinds := range map[string][]string{"after it": {reload, upgrade}, "first": {upgrade, reload}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := idleMaster(t)
			m.started, m.binary = true, "/no/such/program"
			load := newSlowLoad(m)
			must(t, refusal(m.request(reload, nil)))
			var clients []net.Conn
			for _, kind := range kinds {
				client, w := waiterPair(t)
				clients = append(clients, client)
				must(t, refusal(m.request(kind, w)))
			}
			if m.queued.kind != upgrade {
				t.Errorf("an %s waits", m.queued.kind)
			}
			load.end <- struct{}{}
			finishOne(t, m)
			finishOne(t, m)
			for _, client := range clients {
				wantAnswer(t, client, "the new program is refused: ", "/no/such/program")
			}
			if m.change != nil || m.lastReload.Kind != upgrade || m.gen.Number != 1 {
				t.Errorf("last reload: %+v", m.lastReload)
			}
		})
	}
}

func refusal(why string) error {
	if why != "" {
		return fmt.Errorf("refused: %s", why)
	}
	return nil
}

func TestTooManyWaitersAreRefused(t *testing.T) {
	t.Parallel()
	m := idleMaster(t)
	m.started = true
	load := newSlowLoad(m)
	must(t, refusal(m.request(reload, nil)))
	var clients []net.Conn
	for range mostWaiters {
		client, w := waiterPair(t)
		clients = append(clients, client)
		must(t, refusal(m.request(reload, w)))
	}
	_, one := waiterPair(t)
	if refused := m.request(reload, one); refused != "64 clients wait for the next reload already" || one.FD() < 0 {
		t.Errorf("one more: %q", refused)
	}
	must(t, refusal(m.request(reload, nil))) // who does not wait takes no place
	load.end <- struct{}{}
	finishOne(t, m)
	load.end <- struct{}{}
	finishOne(t, m)
	for _, client := range clients {
		wantAnswer(t, client, "the file is bad")
	}
}

// Before the first workers are ready there is nothing to compare with.
func TestARequestWaitsForTheStart(t *testing.T) {
	t.Parallel()
	m := idleMaster(t)
	load := newSlowLoad(m)
	must(t, refusal(m.request(reload, nil)))
	if m.beginQueued(); m.change != nil || m.queued == nil || m.turn {
		t.Fatalf("runs %+v, queued %+v", m.change, m.queued)
	}
	m.started = true
	m.beginQueued()
	if m.change != nil || !m.turn {
		t.Fatal("it has begun in the middle of a step, or is forgotten")
	}
	m.takeTurn()
	load.end <- struct{}{}
	finishOne(t, m)
	if m.change != nil || m.lastReload == nil {
		t.Errorf("runs %+v", m.change)
	}
}

func TestAStopEndsAllChanges(t *testing.T) {
	t.Parallel()
	m := idleMaster(t)
	m.started = true
	load := newSlowLoad(m)
	running, w := waiterPair(t)
	must(t, refusal(m.request(reload, w)))
	queued, w := waiterPair(t)
	must(t, refusal(m.request(upgrade, w)))
	m.step(pool.Event{Kind: pool.StopAsked})
	wantAnswer(t, running, "500 Internal Server Error", "the server stops")
	wantAnswer(t, queued, "500 Internal Server Error", "the server is stopping")
	_, late := waiterPair(t)
	if refused := m.request(reload, late); refused != "the server is stopping" || late.FD() < 0 {
		t.Errorf("another one: %q", refused)
	}
	load.end <- struct{}{}
	m.report(<-m.reports) // of a change that is no more
	if m.change != nil || m.queued != nil || m.turn {
		t.Errorf("there is more to do: %+v, %+v", m.change, m.queued)
	}
}

// What is reported too late is let go of: its sockets are closed.
func TestALateReportIsDiscarded(t *testing.T) {
	t.Parallel()
	m := idleMaster(t)
	m.change = &change{kind: reload, at: 2}
	plan, err := planListeners(&config.Config{Listen: []string{"127.0.0.1:0"}}, nil, false)
	must(t, err)
	m.report(prepared{at: 1, plan: plan, gen: &generation{program: program{fd: -1}}})
	if plan.opened[0].FD() >= 0 || m.change.next != nil {
		t.Error("it is still there")
	}
	m.report(prepared{at: 1, err: errors.New("too late")})
	if m.lastReload != nil {
		t.Errorf("it was taken for an outcome: %+v", m.lastReload)
	}
}

func TestEachFaultHasItsLine(t *testing.T) {
	t.Parallel()
	if got := printableLines("one\x1b[2J\ntwo\r\n\n"); got != "one?[2J\ntwo?" && got != "one?[2J\ntwo" {
		t.Errorf("%q", got)
	}
}

var _ = control.Outcome{}
