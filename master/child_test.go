package master

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/master/pool"
)

// heartbeat returns both ends of a pipe as master and worker have them.
func heartbeat(t *testing.T) (r, w *os.File) {
	t.Helper()
	var p [2]int
	if err := pipe(&p); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(p[0], true); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(p[0]), "r"), os.NewFile(uintptr(p[1]), "w")
}

func TestReadPipeUnderstandsAndEnds(t *testing.T) {
	t.Parallel()
	r, w := heartbeat(t)
	events := make(chan event)
	go (&pipeReader{slot: 2, pid: 4711, pipe: r}).run(events)
	go func() {
		w.WriteString(`{"type":"hello"}` + "\n" + `{"type":"ready","commands":true}` + "\n{bad\n" +
			`{"type":"beat","in_flight":3,"requests":9}` + "\n" + `{"type":"weather"}` + "\n" + `{"type":"reopen"}` + "\n" + `{"type":"failed","reason":"no"}` + "\n")
		w.Close()
	}()
	want := []event{
		{Event: pool.Event{Kind: pool.HelloSaid}},
		{Event: pool.Event{Kind: pool.ReadySaid}, commands: true},
		{said: wasJunk},
		{Event: pool.Event{Kind: pool.BeatHeard, Beat: pool.Beat{InFlight: 3, Requests: 9}}},
		{said: forNobody},
		{said: askReopen},
		{said: isFailed, Event: pool.Event{Why: "no"}},
		{said: pipeOver},
	}
	for i, x := range want {
		got := <-events
		if got.PID != 4711 || got.said != x.said || got.Kind != x.Kind || got.commands != x.commands || got.Beat != x.Beat {
			t.Errorf("event %d: %+v, want %+v", i, got, x)
		}
	}
}

// TestReadPipeThrottlesAFlood: a worker that writes without end costs the
// master a bounded number of events a second.
func TestReadPipeThrottlesAFlood(t *testing.T) {
	t.Parallel()
	r, w := heartbeat(t)
	events := make(chan event)
	go (&pipeReader{slot: 1, pid: 1, pipe: r}).run(events)
	stop := make(chan struct{})
	go func() {
		line := wire.Message{Type: wire.Beat}.Append(nil)
		flood := []byte(strings.Repeat(string(line), 500))
		for {
			select {
			case <-stop:
				w.Close()
				return
			default:
				w.Write(flood)
			}
		}
	}()
	began, n := time.Now(), 0
	for n < 4000 {
		<-events
		n++
	}
	if rate := float64(n) / time.Since(began).Seconds(); rate > 8000 {
		t.Errorf("%.0f events a second came through", rate)
	}
	close(stop)
	for (<-events).said != pipeOver {
	}
}

func TestReadPipeGivesUpAtItsDeadline(t *testing.T) {
	t.Parallel()
	r, w := heartbeat(t)
	defer w.Close() // a grandchild that lives on would hold it
	events := make(chan event, 1)
	r.SetReadDeadline(time.Now())
	p := &pipeReader{slot: 1, pid: 1, pipe: r}
	p.farewell.Store(true)
	p.run(events)
	if e := <-events; e.said != pipeOver {
		t.Errorf("got %+v", e)
	}
}

func TestExitedTellsSignalFromCode(t *testing.T) {
	t.Parallel()
	e := exitEvent(1, unix.WaitStatus(3<<8))
	if e.Code != 3 || e.Signal != 0 || e.Why != "" {
		t.Errorf("exit 3 is %+v", e)
	}
	e = exitEvent(1, unix.WaitStatus(unix.SIGSEGV))
	if e.Signal != int(unix.SIGSEGV) || !strings.Contains(e.Why, "SIGSEGV") {
		t.Errorf("a crash is %+v", e)
	}
	e = exitEvent(1, unix.WaitStatus(unix.SIGKILL))
	if !strings.Contains(e.Why, "outside") {
		t.Errorf("a kill is %+v", e)
	}
}

// TestLineWriterNeverBlocks: the writer behind it is stuck for good.
func TestLineWriterNeverBlocks(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	w := newLineWriter(writerFunc(func([]byte) (int, error) { <-stuck; return 0, nil }))
	for range linesWaiting + 10 {
		w.Write([]byte("line\n"))
	}
	if lost := w.lost.Load(); lost < 8 {
		t.Errorf("%d lines counted as lost", lost)
	}
	close(stuck)
	w.close()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A pid that is given anew while its last owner is still heard out: the old
// one's end reaches the pool first, and its late words do not reach the new one.
func TestAPidGivenAnew(t *testing.T) {
	t.Parallel()
	m := &master{children: map[int]*child{}, events: make(chan event, 8), pool: pool.New(pool.Limits{Workers: 1, Surge: 1}),
		timer: time.NewTimer(time.Hour), output: &output{}, gen: &generation{Number: 1}, log: slog.New(slog.DiscardHandler)}
	m.pool.Step(0, pool.Event{Kind: pool.Ticked})
	oldEnds, err := newEnds()
	if err != nil {
		t.Fatal(err)
	}
	old := m.adopt(newChild(4711, 1, &generation{Number: 1}, oldEnds))
	m.pool.Step(0, pool.Event{Kind: pool.Spawned, Slot: 1, Gen: 1, PID: 4711})
	old.exit = &pool.Event{Kind: pool.Exited, PID: 4711}
	newEnds, err := newEnds()
	if err != nil {
		t.Fatal(err)
	}
	fresh := m.adopt(newChild(4711, 1, &generation{Number: 1}, newEnds))
	if got := m.pool.Status(); len(got.Workers) != 0 || got.Exits["boot"] != 1 {
		t.Errorf("the pool has not heard of the end: %+v", got)
	}
	m.hear(event{said: pipeOver, pipe: old.pipe, Event: pool.Event{PID: 4711}})
	if fresh.pipeOver || m.children[4711] != fresh {
		t.Error("the end of the old one's pipe was taken for the new one's")
	}
	oldEnds.closeTheirs()
	newEnds.closeTheirs()
	fresh.closeCommand()
}

// Without a farewell a deadline is a rest: the file stays open, and what there is
// of a line is kept for who reads on.
func TestReadPipeRests(t *testing.T) {
	t.Parallel()
	r, w := heartbeat(t)
	defer w.Close()
	events := make(chan event, 4)
	p := &pipeReader{slot: 1, pid: 1, pipe: r}
	go p.run(events)
	if _, err := w.WriteString("{\"type\":\"hello\"}\n{\"type\":\"rea"); err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Kind != pool.HelloSaid {
		t.Fatalf("got %+v", e)
	}
	p.rest()
	if e := <-events; e.said != isResting {
		t.Fatalf("got %+v", e)
	}
	partial, skipping := p.lines.Rest()
	next := &pipeReader{slot: 1, pid: 1, pipe: r, lines: wire.ResumeLines(partial, skipping)}
	_ = r.SetReadDeadline(time.Time{})
	go next.run(events)
	if _, err := w.WriteString("dy\"}\n"); err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Kind != pool.ReadySaid {
		t.Errorf("got %+v", e)
	}
	w.Close()
	if e := <-events; e.said != pipeOver {
		t.Errorf("got %+v", e)
	}
}
