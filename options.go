package fugue

import (
	"time"

	"github.com/fugue-http/fugue/internal/config"
)

// Off, as a duration, switches a limit off, where zero means its default.
const Off time.Duration = -1

// NoAnswer, as Watch.Status, cuts the connection instead.
const NoAnswer = -1

// Options are the keys of unicorn.toml (docs/settings.md) as Go fields; a zero
// field means the key's default. Relative paths start from the current folder.
type Options struct {
	Listen    []string   // host:port, :port, unix:/path, unix:@abstract, systemd:NAME; default 127.0.0.1:8080
	Listeners []Listener // the same with options

	Workers           int           // 0 = one per CPU, at least 2
	Timeout           time.Duration // longest a request may take
	HeartbeatTimeout  time.Duration
	BootTimeout       time.Duration
	WorkerKillTimeout time.Duration
	ShutdownDelay     time.Duration // how long all still serve after a stop was asked for
	MaxSurge          int

	WorkingPath, TmpPath   string
	LogFile, MasterLogFile string
	LogFormat              string // "text" or "json"
	Verbose                bool

	UID, GID   string // number or name
	Umask      string // octal, such as "0027"
	NoNewPrivs *bool

	// Daemonize has Start run the program again in the background and end this
	// process: with status 0 when the workers are ready. It returns an error if
	// they never will be.
	Daemonize     bool
	MasterPIDPath string
	ControlPath   string

	Env        map[string]string
	GOMAXPROCS int
	Sched      string // "auto", "batch" or "other"
	Watch      Watch
	Recycle    Recycle
	HTTP       HTTP

	// Started, if not nil, is called once in each process, in a goroutine of its
	// own: in a worker when it is ready, in the master when all workers of the
	// first generation are. IsMaster tells which it is.
	Started func()
}

// Listener is an address with options.
type Listener struct {
	Address, Name string
	Backlog       int
	DeferAccept   bool
	ReusePort     bool   // each worker has a socket of its own; TCP on Linux
	Mode          string // octal, such as "0660"; unix only, as are the two below
	Owner, Group  string
}

// Watch says what becomes of a request that exceeds Options.Timeout.
type Watch struct {
	Status int           // what its client is answered, NoAnswer for nothing; default 504
	Grace  time.Duration // how long its handler may still return before the worker is replaced
	Routes []Route       // other limits for some requests
}

// Route is a limit for the requests that match.
type Route struct {
	Path    string   // as in http.ServeMux: /reports/ is all below it
	Methods []string // none = all
	Timeout time.Duration
}

// Recycle says when a healthy worker is replaced, and then drained; zero is
// never.
type Recycle struct {
	MaxRequests       int   // how many requests it may answer
	MaxRequestsJitter int   // up to so many more, drawn by lot for each worker
	MaxMemory         int64 // bytes its process may have resident, at least 1 MiB
	MaxAge            time.Duration
}

// HTTP are limits for an *http.Server that has none of its own.
type HTTP struct {
	ReadHeaderTimeout, ReadTimeout, WriteTimeout time.Duration
	IdleTimeout, Linger                          time.Duration
	MaxHeaderBytes                               int
	H2C                                          bool // HTTP/2 without TLS as well
}

// configFrom is o as the Config that a file with these keys would give. Relative
// paths start from dir.
func (o Options) configFrom(dir string) (*config.Config, error) {
	c := config.Default() // its app, the demo, is not run: the program itself is
	if err := o.copyInto(c); err != nil {
		return nil, err
	}
	c.Resolve(dir)
	if faults := c.Validate(); len(faults) > 0 {
		return nil, faults
	}
	return c, nil
}

func (o Options) copyInto(c *config.Config) error {
	set(&c.Workers, o.Workers)
	limit(&c.Timeout, o.Timeout)
	limit(&c.HeartbeatTimeout, o.HeartbeatTimeout)
	limit(&c.BootTimeout, o.BootTimeout)
	limit(&c.WorkerKillTimeout, o.WorkerKillTimeout)
	limit(&c.ShutdownDelay, o.ShutdownDelay)
	set(&c.MaxSurge, o.MaxSurge)
	set(&c.WorkingPath, o.WorkingPath)
	set(&c.TmpPath, o.TmpPath)
	set(&c.LogFile, o.LogFile)
	set(&c.MasterLogFile, o.MasterLogFile)
	set(&c.LogFormat, o.LogFormat)
	set(&c.Verbose, o.Verbose)
	set(&c.UID, o.UID)
	set(&c.GID, o.GID)
	set(&c.NoNewPrivs, o.NoNewPrivs)
	set(&c.Daemonize, o.Daemonize)
	set(&c.MasterPIDPath, o.MasterPIDPath)
	set(&c.ControlPath, o.ControlPath)
	c.App.Env = o.Env
	set(&c.App.GOMAXPROCS, o.GOMAXPROCS)
	set(&c.App.Sched, o.Sched)
	o.Watch.copyInto(&c.Watch)
	o.Recycle.copyInto(&c.Recycle)
	o.HTTP.copyInto(&c.HTTP)
	if err := mode(&c.Umask, "umask", o.Umask); err != nil {
		return err
	}
	return o.listeners(c)
}

func (w Watch) copyInto(c *config.Watch) {
	set(&c.Status, w.Status)
	if w.Status == NoAnswer {
		c.Status = 0
	}
	limit(&c.Grace, w.Grace)
	for _, r := range w.Routes {
		to := config.Route{Path: r.Path, Methods: r.Methods}
		limit(&to.Timeout, r.Timeout)
		c.Routes = append(c.Routes, to)
	}
}

func (r Recycle) copyInto(c *config.Recycle) {
	set(&c.MaxRequests, r.MaxRequests)
	set(&c.MaxRequestsJitter, r.MaxRequestsJitter)
	set(&c.MaxMemory, config.Size(r.MaxMemory))
	limit(&c.MaxAge, r.MaxAge)
}

func (h HTTP) copyInto(c *config.HTTP) {
	limit(&c.ReadHeaderTimeout, h.ReadHeaderTimeout)
	limit(&c.ReadTimeout, h.ReadTimeout)
	limit(&c.WriteTimeout, h.WriteTimeout)
	limit(&c.IdleTimeout, h.IdleTimeout)
	limit(&c.Linger, h.Linger)
	set(&c.MaxHeaderBytes, config.Size(h.MaxHeaderBytes))
	set(&c.H2C, h.H2C)
}

func (o Options) listeners(c *config.Config) error {
	if len(o.Listen) > 0 || len(o.Listeners) > 0 {
		c.Listen = o.Listen
	}
	for _, l := range o.Listeners {
		to := config.NewListener()
		to.Address, to.Name, to.DeferAccept, to.Owner, to.Group = l.Address, l.Name, l.DeferAccept, l.Owner, l.Group
		to.ReusePort = l.ReusePort
		set(&to.Backlog, l.Backlog)
		if err := mode(&to.Mode, "listener.mode", l.Mode); err != nil {
			return err
		}
		c.Listeners = append(c.Listeners, to)
	}
	return nil
}

// set copies a value that was given over the default.
func set[T comparable](to *T, from T) {
	var zero T
	if from != zero {
		*to = from
	}
}

// limit is set for durations, of which one means "none".
func limit(to *time.Duration, from time.Duration) {
	set(to, from)
	if from == Off {
		*to = 0
	}
}

func mode(to *config.Mode, key, text string) error {
	if text == "" {
		return nil
	}
	m, err := config.ParseMode(text)
	if err != nil {
		return config.Faults{{Key: key, Text: err.Error()}}
	}
	*to = m
	return nil
}
