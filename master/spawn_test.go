package master

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/master/pool"
)

// TestManyStartsDoNotHoldUpTheLoop: processes are started one at a time, and who
// has something to say is heard in between.
func TestManyStartsDoNotHoldUpTheLoop(t *testing.T) {
	t.Parallel()
	m := &master{log: slog.New(slog.NewTextHandler(io.Discard, nil)), timer: time.NewTimer(time.Hour), start: time.Now(),
		started: true, asks: make(chan control.Ask), output: &output{}, gen: &generation{Number: 1},
		pool: pool.New(pool.Limits{Workers: 100, Surge: 1, Boot: time.Minute, Drain: time.Second})}
	m.step(pool.Event{Kind: pool.Ticked})
	if n := len(m.toSpawn); n != 101 && n != 100 {
		t.Fatalf("%d wait to be started", n)
	}
	if m.spawnTurn() == nil {
		t.Error("it is nobody's turn")
	}
	m.step(pool.Event{Kind: pool.StopAsked})
	for i := 0; !m.over; i++ {
		if i > 200 {
			t.Fatal("a stop does not end when nobody has been started")
		}
		m.spawnNext()
	}
	if m.spawnTurn() != nil || m.code != 0 {
		t.Errorf("status %d, %d wait to be started", m.code, len(m.toSpawn))
	}
}
