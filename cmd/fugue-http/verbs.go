package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
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

	despiteFaults bool // of the file: the master is asked if it can be found, since it will tell them
}

// call is what a verb works with.
type call struct {
	*command
	client *control.Client
	cfg    *config.Config // of the file, or the defaults
}

var verbs = []verb{
	{"status", "", []string{"json", "watch"}, "show the workers; --watch goes on showing them", program.status, false},
	{"incidents", "", []string{"json"}, "show stuck requests and killed workers", program.incidents, false},
	{"reload", "", []string{"wait"}, "re-read the file, replace the workers; --wait until done", program.reload, true},
	{"upgrade", "", []string{"wait"}, "the same, and replace fugue-http itself", program.upgrade, true},
	{"scale", "N|+K|-K", nil, "have N workers, or K more or fewer", program.scale, false},
	{"stop", "", []string{"quick"}, "finish requests (or do not), and leave", program.stop, false},
	{"reopen-logs", "", nil, "open the log files anew, after they were moved", program.reopenLogs, false},
}

func (p program) obey(c *command) error {
	cfg, faults := c.target()
	if faults != nil {
		if !c.verb.despiteFaults || c.config == "" {
			return faults
		}
		cfg = c.despite()
	}
	client, err := dial(cfg)
	switch {
	case err != nil && faults != nil:
		return faults // the reason why we may have looked in the wrong place
	case err != nil:
		return err
	}
	return c.verb.do(p, call{c, client, cfg})
}

func dial(cfg *config.Config) (*control.Client, error) {
	if cfg.ControlPath == "" {
		if err := control.CheckFolder(filepath.Dir(cfg.Control())); err != nil {
			return nil, err
		}
	}
	return control.Dial(cfg.Control())
}

func (p program) reload(c call) error {
	o, err := c.client.Reload(context.Background(), c.wait)
	return p.tellOutcome(c, o, err)
}

func (p program) upgrade(c call) error {
	o, err := c.client.Upgrade(context.Background(), c.wait)
	return p.tellOutcome(c, o, err)
}

func (p program) tellOutcome(c call, o control.Outcome, err error) error {
	name := c.verb.name
	switch {
	case err != nil:
		return because(name, err.Error())
	case !c.wait:
		return p.print(name + " asked for\n")
	case !o.OK:
		return because(name+" failed", o.Reason)
	}
	return p.print(fmt.Sprintf("%s: generation %d\n", strings.TrimSuffix(name, "e")+"ed", o.Generation))
}

// because gives each line of a reason, such as the faults of a file, its own.
func because(what, reason string) error {
	reason = printable(strings.TrimSpace(reason))
	if strings.Contains(reason, "\n") {
		return fmt.Errorf("%s:\n%s", what, reason)
	}
	return fmt.Errorf("%s: %s", what, reason)
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
	limit := c.cfg.ShutdownDelay + c.cfg.WorkerKillTimeout + leaveLimit
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := c.client.Stop(ctx, c.quick)
	if errors.Is(err, control.ErrStillRunning) {
		return fmt.Errorf("stop: %w after %s; `stop --quick` does not wait for requests", err, limit)
	}
	return err
}

func (p program) reopenLogs(c call) error { return c.client.ReopenLogs() }
