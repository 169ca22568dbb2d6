package config

import (
	"io/fs"
	"time"
)

// Config is unicorn.toml: each key stands here once, with its name, its type,
// its default and the sentence that the example file and the docs show. A field
// without a default tag is unset (zero) unless the file says otherwise.
//
// The other tags: kind says what a string means, choice lists the words allowed,
// min and max bound a number (min is 0 without the tag), zero:"off" allows 0
// below min, and sample is what the example file shows for a key without a
// default.
//
// Paths in a loaded Config are absolute. A Config is not changed after loading;
// it may be read concurrently.
type Config struct {
	Listen    []string   `toml:"listen" kind:"address" default:"127.0.0.1:8080" doc:"where to listen, one or a list: host:port, :port, unix:/path, unix:@abstract, systemd:NAME"`
	Listeners []Listener `toml:"listener" doc:"the same with options, one table for each"`

	Workers           int           `toml:"workers" default:"0" max:"1024" doc:"how many workers; 0 = one per CPU the process may use, at least 2"`
	Timeout           time.Duration `toml:"timeout" default:"60s" min:"1ms" zero:"off" doc:"longest a request may take; its client is then answered 504 and, if its handler does not return, its worker is replaced; \"0s\" is off"`
	HeartbeatTimeout  time.Duration `toml:"heartbeat_timeout" default:"10s" min:"100ms" zero:"off" doc:"longest a worker may be silent before it is aborted; \"0s\" is off"`
	BootTimeout       time.Duration `toml:"boot_timeout" default:"60s" min:"1ms" doc:"longest from a worker's start until it is ready"`
	WorkerKillTimeout time.Duration `toml:"worker_kill_timeout" default:"30s" min:"1ms" doc:"longest a worker may take to finish its requests when it is told to leave"`
	ShutdownDelay     time.Duration `toml:"shutdown_delay" default:"0s" doc:"how long a server that was told to stop still serves, while /readyz says 503 and load balancers take notice"`
	MaxSurge          int           `toml:"max_surge" default:"0" max:"1024" doc:"how many processes there may be beyond workers while some are replaced; 0 = a quarter of the workers, at least 1"`

	WorkingPath string `toml:"working_path" kind:"path" sample:"/srv/app" doc:"working directory of the workers; the folder of this file if not set"`
	TmpPath     string `toml:"tmp_path" kind:"path" default:"/tmp" doc:"where the folder of the control socket is made"`

	LogFile       string `toml:"log_file" kind:"path" sample:"log/app.log" doc:"file that stdout and stderr of the workers are appended to; inherited if not set"`
	MasterLogFile string `toml:"master_log_file" kind:"path" sample:"log/master.log" doc:"file that the master's own log is appended to; stderr if not set"`
	LogFormat     string `toml:"log_format" default:"text" choice:"text json" doc:"form of the master's log lines: text or json"`
	Verbose       bool   `toml:"verbose" default:"false" doc:"log more: every command sent to a worker"`

	UID        string `toml:"uid" kind:"user" sample:"www-data" doc:"user the workers run as, number or name; needs root"`
	GID        string `toml:"gid" kind:"group" sample:"www-data" doc:"group the workers run as, number or name; the user's own group if only uid is set"`
	Umask      Mode   `toml:"umask" sample:"0027" doc:"umask of the workers, an octal string such as \"0027\"; inherited if not set"`
	NoNewPrivs *bool  `toml:"no_new_privs" sample:"true" doc:"workers and what they start can gain no privileges by set-user-id programs; true if not set and uid is set"`

	Daemonize     bool   `toml:"daemonize" default:"false" doc:"leave the terminal and run in the background, once the first workers are ready"`
	MasterPIDPath string `toml:"master_pid_path" kind:"path" sample:"/run/app.pid" doc:"file that holds the master's process id, locked while it runs"`
	ControlPath   string `toml:"control_path" kind:"path" sample:"/run/app/control.sock" doc:"Unix socket of the control API; a file in tmp_path if not set"`

	App     App     `toml:"app" doc:"what the workers run: exactly one of command, root and demo"`
	Watch   Watch   `toml:"watch" doc:"what becomes of a request that exceeds its timeout"`
	Recycle Recycle `toml:"recycle" doc:"when a healthy worker is replaced, and then drained; 0 is off"`
	HTTP    HTTP    `toml:"http" doc:"limits of the HTTP server in native Go workers; \"0s\" is off"`

	// File is the absolute path of the file that was read, "" without one.
	File string `toml:"-"`
	// Dir is the folder that relative paths start from.
	Dir string `toml:"-"`
}

// Listener is one [[listener]] table.
type Listener struct {
	Address     string `toml:"address" kind:"address" sample:"unix:/run/app.sock" doc:"as in listen"`
	Name        string `toml:"name" kind:"fdname" sample:"web" doc:"name under which workers find it (LISTEN_FDNAMES)"`
	Backlog     int    `toml:"backlog" default:"1024" min:"1" max:"65535" doc:"how many connections may wait in the kernel; capped by net.core.somaxconn"`
	ReusePort   bool   `toml:"reuseport" default:"false" doc:"TCP, Linux: each worker has a socket of its own, held by the master, and the kernel shares connections out among them; for many workers on many CPUs; backlog is that of each"`
	DeferAccept bool   `toml:"defer_accept" default:"false" doc:"TCP: hand a connection on only when its first bytes are there"`
	Mode        Mode   `toml:"mode" default:"0666" doc:"unix: permissions of the socket file, an octal string"`
	Owner       string `toml:"owner" kind:"user" sample:"www-data" doc:"unix: owner of the socket file, number or name"`
	Group       string `toml:"group" kind:"group" sample:"www-data" doc:"unix: group of the socket file, number or name"`
}

// App is the [app] table.
type App struct {
	Command    []string          `toml:"command" kind:"words" sample:"./app -x" doc:"program and arguments, a list or one string that is split as a shell would; no shell is run"`
	Root       string            `toml:"root" kind:"path" sample:"public" doc:"folder of static files to serve (GET and HEAD)"`
	Demo       bool              `toml:"demo" default:"false" doc:"the built-in demonstration app"`
	Env        map[string]string `toml:"env" kind:"env" sample:"APP_ENV=production" doc:"environment variables for the app, over those the master has"`
	Ready      string            `toml:"ready" default:"auto" kind:"ready" doc:"when a worker counts as ready: auto = it says so, or else is alive for 1s; pipe = it says so; notify = it says so by sd_notify; or a duration it must be alive for; with proxy: auto = it accepts connections; a duration = that, and it is alive for so long; http:///path = a GET of it is answered with 2xx or 3xx"`
	StopSignal string            `toml:"stop_signal" default:"TERM" kind:"signal" doc:"signal that asks a foreign app to leave"`
	Proxy      bool              `toml:"proxy" default:"false" doc:"for a plain HTTP server that knows nothing of fugue: each worker runs command on a private address, given in PORT and FUGUE_APP_SOCKET, and forwards requests to it"`
	GOMAXPROCS int               `toml:"gomaxprocs" default:"0" max:"1024" doc:"threads that run Go code in each worker; 0 = CPUs divided by workers, rounded up"`
	Sched      string            `toml:"sched" default:"auto" choice:"auto batch other" doc:"how the kernel schedules workers: batch = a worker that wakes up does not interrupt who runs, which serves more; other = as any process; auto = batch, unless whoever started the master has chosen a policy"`
}

// Watch is the [watch] table.
type Watch struct {
	Status int           `toml:"status" default:"504" max:"599" doc:"what the client is answered; 0 = nothing, the connection is cut"`
	Grace  time.Duration `toml:"grace" default:"5s" doc:"how long after its timeout a handler may still return before its worker is replaced"`
	Routes []Route       `toml:"route" doc:"other limits for some requests"`
}

// Route is one [[watch.route]] table.
type Route struct {
	Path    string        `toml:"path" kind:"pattern" sample:"/reports/" doc:"pattern of paths as in Go's http.ServeMux: /reports/ is all below it"`
	Methods []string      `toml:"methods" sample:"GET" doc:"the methods it is for; all if not set"`
	Timeout time.Duration `toml:"timeout" sample:"5m" doc:"longest such a request may take; \"0s\" is off"`
}

// Recycle is the [recycle] table. The bounds of the two numbers keep their sum
// within an int of 32 bits.
type Recycle struct {
	MaxRequests       int           `toml:"max_requests" default:"0" max:"1000000000" doc:"how many requests a worker may answer; 0 is off"`
	MaxRequestsJitter int           `toml:"max_requests_jitter" default:"0" max:"1000000000" doc:"up to so many more for each worker, drawn by lot, so that not all are replaced at once; only with max_requests"`
	MaxMemory         Size          `toml:"max_memory" default:"0" min:"1MiB" zero:"off" doc:"largest resident memory (RSS) of a worker's process, looked up every few seconds; Go apps are told to collect before they reach it (GOMEMLIMIT); \"0\" is off"`
	MaxAge            time.Duration `toml:"max_age" default:"0s" min:"1s" zero:"off" doc:"oldest a worker may become; \"0s\" is off"`
}

// HTTP is the [http] table.
type HTTP struct {
	ReadHeaderTimeout time.Duration `toml:"read_header_timeout" default:"10s" doc:"longest to read a request's headers"`
	ReadTimeout       time.Duration `toml:"read_timeout" default:"30s" zero:"off" doc:"longest a handler may wait for the next byte of a request's body"`
	WriteTimeout      time.Duration `toml:"write_timeout" default:"30s" zero:"off" doc:"longest a handler may wait for the client to take a byte of the response"`
	IdleTimeout       time.Duration `toml:"idle_timeout" default:"75s" doc:"longest a kept connection may be idle"`
	Linger            time.Duration `toml:"linger" default:"2s" doc:"how long an idle connection may still send one more request to a draining worker"`
	MaxHeaderBytes    Size          `toml:"max_header_bytes" default:"64KiB" min:"1KiB" max:"1GiB" zero:"off" doc:"largest request header; \"0\" is off"`
	H2C               bool          `toml:"h2c" default:"false" doc:"HTTP/2 without TLS as well, for clients that begin with it (prior knowledge), as gRPC's do; with proxy, what came so is forwarded so"`
}

// Mode is a set of permission bits, written as an octal string ("0027").
type Mode struct {
	Bits fs.FileMode
	Set  bool // false: the key was not given
}

// Size is a number of bytes, written "512MiB", "64KiB", "10MB" or "0".
type Size int64
