package control

import "time"

// Status is GET /status: the names are relied on by scripts.
type Status struct {
	Version       string     `json:"version"`
	PID           int        `json:"pid"`
	Generation    int        `json:"generation"`
	State         string     `json:"state"` // starting, running, reloading, stopping
	WorkersWanted int        `json:"workers_wanted"`
	Listeners     []Listener `json:"listeners"`
	Workers       []Worker   `json:"workers"`
	LastReload    *Reload    `json:"last_reload"`
	Counters      Counters   `json:"counters"`
}

// Listener is one listening socket.
type Listener struct {
	Address string `json:"address"`
	Name    string `json:"name"`
	Queue   int    `json:"queue"`   // connections waiting to be accepted
	Backlog int    `json:"backlog"` // how many may wait
}

// Worker is one process.
type Worker struct {
	ID         int       `json:"id"`
	PID        int       `json:"pid"`
	Generation int       `json:"generation"`
	State      string    `json:"state"` // starting, ready, draining, killed
	InFlight   int64     `json:"in_flight"`
	OldestMS   int64     `json:"oldest_ms"`
	Requests   uint64    `json:"requests"`
	Stuck      int64     `json:"stuck"` // overdue requests whose handlers still run
	RSSBytes   int64     `json:"rss_bytes"`
	StartedAt  time.Time `json:"started_at"`
	Restarts   int       `json:"restarts"`
}

// Reload is the outcome of the last reload or upgrade.
type Reload struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`   // reload, upgrade
	Result string    `json:"result"` // ok, failed
	Reason string    `json:"reason"`
}

// Counters grow from the start of the master; they are never reset.
type Counters struct {
	Spawned   uint64            `json:"spawned"`
	Exits     map[string]uint64 `json:"exits"`      // by cause
	PipeJunk  uint64            `json:"pipe_junk"`  // malformed or overlong lines from workers
	LogsLost  uint64            `json:"logs_lost"`  // log lines of the master that could not be written
	SpawnFail uint64            `json:"spawn_fail"` // processes the kernel refused
}
