package main

import (
	"encoding/json"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/control"
)

const watchEvery = time.Second

// status shows it once, or until it is interrupted.
func (p program) status(c call) error {
	if !c.watch {
		return p.show(c)
	}
	enough := make(chan os.Signal, 1)
	signal.Notify(enough, syscall.SIGINT, syscall.SIGTERM)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := p.show(c); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-enough:
			return nil
		}
	}
}

// show writes it with one write, so that a screen does not flicker.
func (p program) show(c call) error {
	st, err := c.client.Status()
	if err != nil {
		return err
	}
	if c.json {
		return p.showJSON(st, c.watch)
	}
	text := view(st, time.Now())
	switch {
	case c.watch && p.terminal:
		text = "\x1b[H\x1b[2J" + text // home, clear
	case c.watch:
		text += "\n"
	}
	return p.print(text)
}

// showJSON is for scripts: one line each time it is repeated.
func (p program) showJSON(st control.Status, line bool) error {
	enc := json.NewEncoder(p.out)
	enc.SetEscapeHTML(false)
	if !line {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(st)
}

// isTerminal takes a number, since asking an os.File for its own may change flags
// that others share.
func isTerminal(fd int) bool {
	_, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	return err == nil
}
