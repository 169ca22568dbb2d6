package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/internal/handover"
)

// The kinds of a change, as status shows them.
const (
	reload  = "reload"
	upgrade = "upgrade"
)

// change is a reload or an upgrade, from when it is asked for to its outcome.
//
// A reload is prepared in a goroutine of its own (the file is read, users are
// looked up, sockets are opened), handed to the pool, and committed, rolled or
// aborted as the pool says. An upgrade tries the new binary first, in a goroutine,
// and executes it; the image that has taken over goes on with the reload.
type change struct {
	kind    string
	waiters []*control.Waiter
	at      uint64 // which change it is: goroutines name it in what they report

	cancel  context.CancelCauseFunc // of an upgrade: ends the trial
	program handover.Program        // that has passed it
	tried   bool                    // it is to be executed

	next      *generation // once it is prepared
	plan      *listenerPlan
	before    *generation // once next is in force
	logOffset int64       // where the log file ended when the pool was told
}

// mostWaiters bounds the clients that wait for one outcome.
const mostWaiters = 64

// request begins a change, or remembers that there is to be another one after
// this: what is asked for meanwhile may come of a file that was not read yet.
// It returns why it does not.
func (m *master) request(kind string, w *control.Waiter) (refused string) {
	switch {
	case m.pool.Stopping():
		return "the server is stopping"
	case m.change == nil && m.started && w == nil:
		m.begin(&change{kind: kind})
		return ""
	case m.change == nil && m.started:
		m.begin(&change{kind: kind, waiters: []*control.Waiter{w}})
		return ""
	case m.queued == nil:
		m.log.Info(kind+" comes after what is under way", "state", m.state(m.pool.Status()))
		m.queued = &change{kind: kind}
	case kind == upgrade:
		m.queued.kind = upgrade
	}
	if w != nil && len(m.queued.waiters) >= mostWaiters {
		return fmt.Sprintf("%d clients wait for the next %s already", mostWaiters, m.queued.kind)
	}
	if w != nil {
		m.queued.waiters = append(m.queued.waiters, w)
	}
	return ""
}

// begin starts c; there is no other change.
func (m *master) begin(c *change) {
	m.changes++
	c.at = m.changes
	m.change = c
	m.log.Info(c.kind+" begins", "generation", m.pool.Generation())
	m.supervisor.Reloading(c.kind + " of generation " + fmt.Sprint(m.pool.Generation()))
	if c.kind == upgrade {
		m.tryImage(c)
		return
	}
	m.prepare(c)
}

// prepared is what a goroutine has made ready for change number at.
type prepared struct {
	at   uint64
	gen  *generation
	plan *listenerPlan
	err  error

	upgrade bool // of the trial of a binary rather than of a file
	program handover.Program
	version string
}

// prepare reads the file and opens what is new. It ends with a report that the
// loop takes sooner or later, unless the process ends before that.
func (m *master) prepare(c *change) {
	at, have, house := c.at, slices.Clone(m.gen.listeners), m.gen.House
	load := m.loadHere
	go func() {
		p := prepared{at: at}
		p.gen, p.plan, p.err = readGeneration(load, have, house)
		m.reports <- p
	}()
}

// loadHere reads the settings. A program that is its own app is looked for where this
// one was started from. It is called in another goroutine than the loop's.
func (m *master) loadHere() (*config.Config, App, error) {
	if m.opt.Load == nil {
		return nil, App{}, errors.New("this program cannot be reloaded")
	}
	cfg, app, err := m.opt.Load()
	if app.Self && app.Path != "" {
		app.Path = m.binary // set once, before the loop
	}
	return cfg, app, err
}

// readGeneration makes a generation of what the file says by now; have and house
// are what there is.
func readGeneration(load func() (*config.Config, App, error), have []*listener, house house) (*generation, *listenerPlan, error) {
	cfg, app, err := load()
	if err != nil {
		return nil, nil, err
	}
	gen, err := newGeneration(cfg, app, house.Control)
	if err != nil {
		return nil, nil, err
	}
	plan, err := planListeners(cfg, have, false)
	if err == nil {
		if err = gen.House.Logs.check(house.Logs); err != nil {
			_ = closeAll(plan.opened) // nobody has heard of them
		}
	}
	if err != nil {
		gen.program.close()
		return nil, nil, err
	}
	gen.listeners, gen.options = plan.list, plan.want
	return gen, plan, nil
}

// report takes what a goroutine has made ready. If nobody waits for it any more,
// it is let go of.
func (m *master) report(p prepared) {
	c := m.change
	switch {
	case c == nil || c.at != p.at:
		p.discard()
	case p.err != nil:
		p.discard()
		m.fail(p.err)
	case p.upgrade:
		m.log.Info("the new program can take over", "path", p.program.Path, "version", p.version)
		c.program, c.tried = p.program, true
		m.tryExec()
	default:
		m.roll(p)
	}
}

func (p prepared) discard() {
	if p.plan != nil {
		_ = closeAll(p.plan.opened) // nobody has heard of them
	}
	if p.gen != nil {
		p.gen.program.close()
	}
	if p.upgrade {
		closeFD(p.program.FD)
	}
}

// fail says why a change has come to nothing, a line for each fault.
func (m *master) fail(err error) {
	if m.pool.Stopping() { // an ordinary end of it
		m.log.Info(m.change.kind+" ended", "why", err)
		m.finish(false, err.Error())
		return
	}
	for line := range strings.Lines(err.Error()) {
		m.log.Error(m.change.kind+" failed", "why", strings.TrimSpace(line))
	}
	m.log.Warn("the old generation serves on", "generation", m.pool.Generation())
	m.finish(false, err.Error())
}

// finish tells the outcome to all who want to know, and begins the next change.
func (m *master) finish(ok bool, reason string) {
	c := m.change
	m.change = nil
	c.close()
	m.lastReload = &control.Reload{At: m.wall().Round(0), Kind: c.kind, Result: "ok", Reason: printableLines(reason)}
	if !ok {
		m.lastReload.Result = "failed"
	} else {
		m.log.Info(c.kind+" done", "generation", m.pool.Generation())
	}
	for _, w := range c.waiters {
		w.Answer(control.Outcome{Kind: c.kind, OK: ok, Reason: reason, Generation: m.pool.Generation()})
	}
	m.tellSupervisor(c.kind, ok, reason)
	m.beginQueued()
}

// close lets go of what an upgrade has in hand.
func (c *change) close() {
	if c.cancel != nil {
		c.cancel(errors.New("the server stops"))
		c.cancel = nil
		if c.program.Path != "" {
			closeFD(c.program.FD)
		}
	}
}

// printableLines keeps the lines of several faults apart.
func printableLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = control.Printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// beginQueued begins what was asked for meanwhile. The pool may be in the middle
// of a step, so it has its turn when that is over.
func (m *master) beginQueued() {
	if m.queued == nil || m.change != nil || !m.started {
		return
	}
	m.turn = true
}

// takeTurn begins the queued change.
func (m *master) takeTurn() {
	m.turn = false
	c := m.queued
	if c == nil || m.change != nil {
		return
	}
	m.queued = nil
	if m.pool.Stopping() {
		m.refuse(c)
		return
	}
	m.begin(c)
}

// refuse tells those who wait for c that it will not come.
func (m *master) refuse(c *change) {
	for _, w := range c.waiters {
		w.Answer(control.Outcome{Kind: c.kind, Reason: "the server is stopping", Generation: m.pool.Generation()})
	}
}

// giveUpChanges ends what is under way when a stop has been asked for.
func (m *master) giveUpChanges() {
	if c := m.queued; c != nil {
		m.queued = nil
		m.refuse(c)
	}
	if m.change != nil {
		m.takeBack(m.change)
		m.fail(errors.New("the server stops"))
	}
}
