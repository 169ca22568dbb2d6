package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/daemon"
	"github.com/fugue-http/fugue/internal/handover"
	"github.com/fugue-http/fugue/internal/version"
	"github.com/fugue-http/fugue/master"
	"github.com/fugue-http/fugue/sockets"
)

// run is the master's life, or the launcher's of a daemon.
func (p program) run(c *command) error {
	// Before the first word is written: a reader of ours that is gone must not
	// end us (SIGPIPE in os/signal).
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if handover.Trial() {
		master.Trial(p.options(c, nil, nil))
	}
	if handover.Pending() != nil {
		return master.Run(p.options(c, nil, nil)) // an upgrade: everything is there already
	}
	reporter := daemon.NewReporter()
	err := p.start(c, reporter)
	if err != nil {
		reporter.Failed(err.Error())
		return err
	}
	reporter.Failed("stopped before the first workers were ready") // unless Ok came first
	return nil
}

func (p program) start(c *command, reporter *daemon.Reporter) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	faults, warnings := cfg.Check()
	if err := startError(faults); err != nil {
		return err
	}
	if reporter == nil {
		p.warn(warnings)
		p.tellDemo(c, cfg)
	}
	if cfg.Daemonize && reporter == nil {
		return daemon.Launch()
	}
	if err := reporter.Settle(); err != nil {
		return err
	}
	return master.Run(p.options(c, cfg, reporter))
}

// options are those of the master. Without cfg it takes over from another image of
// itself.
func (p program) options(c *command, cfg *config.Config, reporter *daemon.Reporter) master.Options {
	o := master.Options{Config: cfg, Version: version.String(), Load: c.reload, Started: reporter.Ok, Dir: c.dir,
		Preflight: slices.Insert(slices.Clone(os.Args), 1, "-t")}
	if cfg != nil {
		o.App = app(cfg)
	}
	return o
}

// reload reads the settings anew. All that is wrong with them is one error, a line
// for each fault.
func (c *command) reload() (*config.Config, master.App, error) {
	cfg, _, err := c.checked()
	if err != nil {
		return nil, master.App{}, err
	}
	return cfg, app(cfg), nil
}

// startError tells what is in the way on the machine from a wrong file: an app
// that a deploy has not brought yet, a path that something else has taken. At a
// start that is a failure (1); only -t takes it for a fault of the settings (2).
func startError(faults config.Faults) error {
	for _, f := range faults {
		if !inTheWay.MatchString(f.Key) {
			return faults
		}
	}
	if len(faults) > 0 {
		return errors.New(faults.Error())
	}
	return nil
}

var inTheWay = regexp.MustCompile(`^(app\.|listen|control_path|master_pid_path)`)

// app is what the workers run.
func app(cfg *config.Config) master.App {
	switch {
	case cfg.App.Demo:
		return master.App{Argv: []string{"fugue-http", "serve", "demo"}, Self: true}
	case cfg.App.Root != "":
		return master.App{Argv: []string{"fugue-http", "serve", "root", cfg.App.Root}, Self: true}
	}
	if cfg.App.Proxy {
		return master.App{Argv: append([]string{"fugue-http", "serve", "proxy", "--"}, cfg.App.Command...), Self: true}
	}
	path, _ := cfg.Program() // "" if it is not there: the start will tell
	return master.App{Argv: cfg.App.Command, Path: path}
}

// tellDemo tells who has asked for nothing what there is.
func (p program) tellDemo(c *command, cfg *config.Config) {
	if c.config != "" || len(c.app) > 0 {
		return
	}
	where := "nothing"
	if addresses := cfg.Addresses(); len(addresses) > 0 {
		where = link(addresses[0].Address)
	}
	fmt.Fprintf(p.err, "fugue-http: no -c FILE and no -- ./app, so this is the demo, on %s\n", where)
}

// link is an address as a browser takes it, as far as that is known.
func link(address string) string {
	a, err := sockets.ParseAddress(address)
	if err != nil || a.Network != "tcp" || a.Port == "0" {
		return address
	}
	if a.Host == "" || a.Host == "0.0.0.0" || a.Host == "::" {
		a.Host = "localhost"
	}
	return "http://" + net.JoinHostPort(a.Host, a.Port) + "/"
}
