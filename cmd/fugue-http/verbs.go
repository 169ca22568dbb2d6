package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/control"
)

// A verb asks or tells a running master.
type verb struct {
	name     string
	argument string   // "" if it takes none
	flags    []string // that no other verb has
	does     string
	do       func(program, call) error
}

// call is what a verb works with.
type call struct {
	*command
	client *control.Client
	cfg    *config.Config // of the file, or the defaults
}

var verbs = []verb{
	{"status", "", []string{"json", "watch"}, "show the workers; --watch goes on showing them", program.status},
	{"incidents", "", []string{"json"}, "show stuck requests and killed workers", program.incidents},
	{"scale", "N|+K|-K", nil, "have N workers, or K more or fewer", program.scale},
	{"stop", "", []string{"quick"}, "finish requests (or do not), and leave", program.stop},
	{"reopen-logs", "", nil, "open the log files anew, after they were moved", program.reopenLogs},
}

func (p program) obey(c *command) error {
	cfg, err := c.target()
	if err != nil {
		return err
	}
	if cfg.ControlPath == "" {
		if err := control.CheckFolder(filepath.Dir(cfg.Control())); err != nil {
			return err
		}
	}
	client, err := control.Dial(cfg.Control())
	if err != nil {
		return err
	}
	return c.verb.do(p, call{c, client, cfg})
}

// target finds the master by the file and the flags it was started with. With -s
// the file may be broken or missing.
func (c *command) target() (*config.Config, error) {
	cfg, err := c.load()
	var faults config.Faults
	switch {
	case err == nil:
		return cfg, nil
	case c.control != "":
		cfg = config.Default()
		cfg.ControlPath, err = filepath.Abs(c.control)
		return cfg, err
	case errors.As(err, &faults):
		return nil, append(faults, config.Fault{File: c.config, Text: "name the control socket with -s to do without the file"})
	}
	return nil, err
}

var amount = regexp.MustCompile(`^[+-]?[0-9]{1,9}$`)

func (p program) scale(c call) error {
	word := c.args[0]
	if !amount.MatchString(word) {
		return misused("scale: %q is not N, +K or -K", word)
	}
	n, err := strconv.Atoi(word)
	if err != nil {
		return misused("scale: %v", err)
	}
	ask := c.client.Scale
	if word[0] == '+' || word[0] == '-' {
		ask = c.client.ScaleBy
	}
	now, err := ask(n)
	if err != nil {
		return err
	}
	return p.print(fmt.Sprintf("workers wanted: %d\n", now))
}

// leaveLimit is what a master gets on top of its workers' drain.
const leaveLimit = 5 * time.Second

func (p program) stop(c call) error {
	limit := c.cfg.WorkerKillTimeout + leaveLimit
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := c.client.Stop(ctx, c.quick)
	if errors.Is(err, control.ErrStillRunning) {
		return fmt.Errorf("stop: %w after %s; `stop --quick` does not wait for requests", err, limit)
	}
	return err
}

func (p program) reopenLogs(c call) error { return c.client.ReopenLogs() }
