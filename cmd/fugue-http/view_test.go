package main

import (
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/control"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestViewOfABusyMaster(t *testing.T) {
	t.Parallel()
	st := control.Status{
		Version: "1.0", PID: 4711, Generation: 2, State: "reloading", WorkersWanted: 2,
		Listeners: []control.Listener{{Address: "127.0.0.1:8080", Queue: 3, Backlog: 1024}, {Address: "unix:/run/app.sock"}},
		Workers: []control.Worker{
			{ID: 1, PID: 9, Generation: 1, State: "draining", StartedAt: now.Add(-26 * time.Hour), InFlight: 12, OldestMS: 61200, Requests: 1234567, RSSBytes: 300 << 20, Restarts: 3},
			{ID: 10, PID: 12345, Generation: 2, State: "ready", StartedAt: now.Add(-61 * time.Second), InFlight: 1, OldestMS: 120},
		},
		LastReload: &control.Reload{At: now, Kind: "reload", Result: "failed", Reason: "exited with \x1b[31m1"},
		Counters:   control.Counters{Spawned: 5, Exits: map[string]uint64{"scale": 1, "crash": 2, "boot": 0}, SpawnFail: 4},
	}
	const want = `fugue-http 1.0  pid 4711  reloading  generation 2  1 of 2 workers ready
listening on 127.0.0.1:8080 (queue 3 of 1024), unix:/run/app.sock

WORKER    PID  GEN  STATE       AGE  IN FLIGHT  OLDEST  REQUESTS     MEMORY  RESTARTS
     1      9    1  draining  1d02h         12   61.2s   1234567  300.0 MiB         3
    10  12345    2  ready     1m01s          1   120ms         0          -         0

spawned 5, exits: crash 2, scale 1
processes that the kernel refused: 4
last reload: failed at 2026-11-22 12:00:00 exited with ?[31m1
`
	if got := view(st, now); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestViewOfAnEmptyMaster(t *testing.T) {
	t.Parallel()
	const want = "fugue-http 1.0  pid 1  starting  generation 0  0 of 0 workers ready\n" +
		"listening on none\n\nspawned 0, exits: none\n"
	if got := view(control.Status{Version: "1.0", PID: 1, State: "starting"}, now); got != want {
		t.Errorf("got\n%s", got)
	}
}

// A reason of several lines, the faults of a file, stays apart from what follows.
func TestViewOfAReloadWithManyFaults(t *testing.T) {
	t.Parallel()
	const want = "last reload: failed at 2026-11-22 12:00:00 u.toml:1: one\n  u.toml:2: two\n"
	if got := troubles(control.Status{LastReload: &control.Reload{At: now, Kind: "reload", Result: "failed", Reason: "u.toml:1: one\nu.toml:2: two\n"}}); got != want {
		t.Errorf("got %q", got)
	}
}

func TestAges(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour:                      "0s", // the clock was set back
		59 * time.Second:                "59s",
		time.Hour - 1:                   "59m59s",
		3*time.Hour + 5*time.Minute:     "3h05m",
		24 * time.Hour:                  "1d00h",
		400*24*time.Hour + 23*time.Hour: "400d23h",
	} {
		if got := age(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}
