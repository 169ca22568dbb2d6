package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/fugue-http/fugue/internal/config"
)

// load reads the file, if one is given, and applies the flags.
func (c *command) load() (*config.Config, error) {
	if c.config != "" {
		return config.Load(c.fromStart(c.config), c.override)
	}
	cfg := config.Default()
	c.override(cfg)
	return cfg, cfg.Validate().Err()
}

// override puts the flags over what the file says. Their paths start from the
// current folder; those of the file are absolute already.
func (c *command) override(cfg *config.Config) {
	if len(c.listen) > 0 {
		cfg.Listen, cfg.Listeners = slices.Clone(c.listen), nil
	}
	if c.given("workers") {
		cfg.Workers = c.workers
	}
	if len(c.app) > 0 {
		cfg.App.Command, cfg.App.Root, cfg.App.Demo = slices.Clone(c.app), "", false
	}
	if c.control != "" {
		cfg.ControlPath = c.control
	}
	cfg.Daemonize = cfg.Daemonize || c.daemonize
	cfg.Resolve(c.dir)
}

// fromStart is a path of the command line, as seen from where that was typed: a
// daemon has left that folder when it reads its file again.
func (c *command) fromStart(path string) string {
	if filepath.IsAbs(path) || c.dir == "" {
		return path
	}
	return filepath.Join(c.dir, path)
}

// checked loads the settings and looks whether what they name is there.
func (c *command) checked() (cfg *config.Config, warnings []string, err error) {
	cfg, err = c.load()
	if err != nil {
		return nil, nil, err
	}
	faults, warnings := cfg.Check()
	return cfg, warnings, faults.Err()
}

func (p program) warn(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(p.err, "warning:", w)
	}
}

// test says all that is wrong with the settings, or that nothing is.
func (p program) test(c *command) error {
	_, warnings, err := c.checked()
	p.warn(warnings)
	if err != nil {
		return err
	}
	name := c.config
	if name == "" {
		name = "settings"
	}
	return p.print(name + ": ok\n")
}

// printConfig prints what is in force.
func (p program) printConfig(c *command) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	hideValues(cfg.App.Env)
	return cfg.WriteTOML(p.out)
}

// hideValues keeps what is set for the app, passwords among it, off the screen
// and out of reports. The names stay.
func hideValues(env map[string]string) {
	for name := range env {
		env[name] = "***"
	}
}
