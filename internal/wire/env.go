package wire

import "time"

// Protocol is the version of the conversation, in EnvProtocol.
const Protocol = "1"

// The environment of a worker. The Go side unsets all of these after reading
// them, so that programs the app starts do not take themselves for workers.
const (
	EnvProtocol   = "FUGUE_PROTOCOL"   // always Protocol
	EnvWorkerID   = "FUGUE_WORKER_ID"  // the slot, 1…N, stable across successors
	EnvGeneration = "FUGUE_GENERATION" // grows by one with each reload
	EnvPipeFD     = "FUGUE_PIPE_FD"    // write end of the heartbeat pipe, O_NONBLOCK
	EnvCommandFD  = "FUGUE_COMMAND_FD" // stream socket: commands in, EOF when the master is gone
	EnvSettings   = "FUGUE_SETTINGS"   // Settings as JSON

	EnvNotify   = "NOTIFY_SOCKET" // where READY=1 and the like may be sent to (sd_notify(3)), for foreign apps
	EnvWatchdog = "WATCHDOG_USEC" // longest it may be silent once it has sent WATCHDOG=1, microseconds

	EnvListenFDs   = "LISTEN_FDS"     // number of listeners, from descriptor 3 (sd_listen_fds(3))
	EnvListenNames = "LISTEN_FDNAMES" // their names, colon-separated
	EnvListenPID   = "LISTEN_PID"     // the process they are meant for

	// EnvStage is there only until the app is executed: the process still runs the
	// master's program (package stage).
	EnvStage = "FUGUE_STAGE"
)

// FirstListener is the descriptor of the first inherited listener
// (SD_LISTEN_FDS_START in sd_listen_fds(3)).
const FirstListener = 3

// WorkerEnv lists every variable that belongs to one worker alone: removed from
// what a worker inherits of the master, and from what the app's own children
// inherit of the worker.
var WorkerEnv = []string{
	EnvProtocol, EnvWorkerID, EnvGeneration, EnvPipeFD, EnvCommandFD, EnvSettings,
	EnvListenFDs, EnvListenNames, EnvListenPID,
}

// Settings is what the worker's side needs of unicorn.toml. It holds no secret:
// environ(7) of a process can be read by its user.
type Settings struct {
	BeatEvery   time.Duration `json:"beat_every"`          // time between two beats
	DrainLimit  time.Duration `json:"worker_kill_timeout"` // longest drain when no master is there to end it
	ControlPath string        `json:"control_path,omitempty"`
	Verbose     bool          `json:"verbose,omitempty"`
	HTTP        HTTP          `json:"http"`
	Watch       Watch         `json:"watch"`
	Proxy       *Proxy        `json:"proxy,omitempty"` // of a worker that runs a plain server behind it (app.proxy)
}

// Proxy is what the worker of a plain server needs to start it.
type Proxy struct {
	Ready      string `json:"ready"`       // app.ready
	StopSignal int    `json:"stop_signal"` // the number of app.stop_signal
	Tmp        string `json:"tmp"`         // tmp_path
}

// Watch is what a request may take.
type Watch struct {
	Timeout time.Duration `json:"timeout"` // 0 = no limit
	Status  int           `json:"status"`  // of the answer; 0 = none, the connection is cut
	Routes  []Route       `json:"routes,omitempty"`
}

// Route is a limit for some requests.
type Route struct {
	Pattern string        `json:"pattern"` // of http.ServeMux
	Timeout time.Duration `json:"timeout"`
}

// HTTP are the limits of the `[http]` table; zero is off.
type HTTP struct {
	ReadHeaderTimeout time.Duration `json:"read_header_timeout"`
	IdleTimeout       time.Duration `json:"idle_timeout"`
	ReadTimeout       time.Duration `json:"read_timeout"`  // longest without progress of the client
	WriteTimeout      time.Duration `json:"write_timeout"` // the same
	Linger            time.Duration `json:"linger"`        // what an idle connection still gets when draining
	MaxHeaderBytes    int           `json:"max_header_bytes"`
	H2C               bool          `json:"h2c,omitempty"` // HTTP/2 without TLS as well
}
