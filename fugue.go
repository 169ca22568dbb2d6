package fugue

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/daemon"
	"github.com/fugue-http/fugue/internal/handover"
	"github.com/fugue-http/fugue/internal/logpipe"
	"github.com/fugue-http/fugue/internal/stage"
	"github.com/fugue-http/fugue/internal/version"
	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/master"
	"github.com/fugue-http/fugue/worker"
)

// Server is what can be run: *http.Server, *grpc.Server, *fasthttp.Server, or
// anything that accepts from a listener until it is closed. Methods named
// Shutdown, GracefulStop and Close are used if there are any.
type Server interface{ Serve(net.Listener) error }

// role is what this process is, from the environment it was started with; the
// worker package removes that once it has attached.
var role struct {
	workerID    int
	controlPath string
	daemon      *daemon.Reporter // nil unless a launcher waits for word
}

var (
	control  atomic.Pointer[string] // its control socket
	pids     atomic.Pointer[[]int]  // its workers
	errTwice = errors.New("fugue.Start: called twice in one process")
	called   atomic.Bool
)

func init() {
	stage.Enter()
	logpipe.Enter()
	// A program that a worker starts may inherit its variables; LISTEN_PID tells
	// for whom they are.
	if os.Getenv(wire.EnvListenPID) == strconv.Itoa(os.Getpid()) {
		role.workerID, _ = strconv.Atoi(os.Getenv(wire.EnvWorkerID))
	}
	var s wire.Settings
	if json.Unmarshal([]byte(os.Getenv(wire.EnvSettings)), &s) == nil {
		role.controlPath = s.ControlPath
	}
	role.daemon = daemon.NewReporter()
}

// Start runs srv under preforked workers. In the first process it becomes the
// master and returns when that has stopped: nil after a stop that was asked
// for, otherwise the reason. In a worker it serves and returns when the worker
// has drained. It is called once. With Options.Daemonize it does not return in the
// process that was started first, unless it fails.
//
// The listeners belong to the master; srv gets copies and may close them.
func Start(srv Server, opts Options) error {
	if called.Swap(true) {
		return errTwice
	}
	if IsWorker() {
		return worker.Run(srv, worker.Started(opts.Started))
	}
	err := lead(opts)
	if err != nil {
		role.daemon.Failed(err.Error())
	}
	return err
}

// lead is the master's life.
func lead(opts Options) error {
	dir, err := handover.Dir()
	if err != nil {
		return err
	}
	load := func() (*config.Config, master.App, error) {
		cfg, err := opts.configFrom(dir)
		return cfg, self(), err
	}
	o := master.Options{Version: version.String(), App: self(), Load: load, Dir: dir,
		Workers: func(now []int) { pids.Store(&now) },
		Started: func() {
			role.daemon.Ok()
			if opts.Started != nil {
				opts.Started()
			}
		},
	}
	if handover.Trial() {
		master.Trial(o)
	}
	cfg, _, err := load()
	if err != nil {
		handover.Back(err)
		return err
	}
	if handover.Pending() == nil {
		o.Config = cfg
		err = settle(cfg)
	}
	if err != nil {
		return err
	}
	path := cfg.Control()
	control.Store(&path)
	return master.Run(o)
}

// self is this program as the app of its workers: a reload looks for a newer one
// under its name.
func self() master.App {
	path, _ := os.Executable()
	return master.App{Argv: os.Args, Self: true, Path: path}
}

// settle becomes a daemon, if that is wanted.
func settle(cfg *config.Config) error {
	if cfg.Daemonize && role.daemon == nil {
		if err := daemon.Launch(); err != nil {
			return err
		}
		os.Exit(0) // what follows Start in main is for the daemon to do, when it has stopped
	}
	return role.daemon.Settle()
}

// Stop asks for a graceful stop: in the master of everything, in a worker of
// that worker alone, which is then replaced. It does not wait for it; Start
// returns when it is done. A second Stop in the master is quick.
func Stop() error {
	switch {
	case IsWorker():
		return unix.Kill(os.Getpid(), unix.SIGQUIT)
	case IsMaster():
		return unix.Kill(os.Getpid(), unix.SIGTERM)
	}
	return errors.New("fugue.Stop: nothing was started")
}

// IsMaster reports whether this process is or, by calling Start, will become
// the master.
func IsMaster() bool { return !IsWorker() }

// IsWorker reports whether this process is a worker. It is right from the
// start of main on.
func IsWorker() bool { return role.workerID > 0 }

// WorkerID returns the slot of this worker, 1 to the number of workers, which
// its successors inherit; 0 in the master.
func WorkerID() int { return role.workerID }

// WorkerPIDs returns the process ids of the workers, by slot, starting and
// draining ones included; nil in a worker. It may be called concurrently.
func WorkerPIDs() []int {
	if now := pids.Load(); now != nil {
		return append([]int(nil), *now...)
	}
	return nil
}

// ControlPath returns the path of the control socket, "" before Start in the
// master. It may be called concurrently.
func ControlPath() string {
	if path := control.Load(); path != nil {
		return *path
	}
	return role.controlPath
}
