package master

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/master/pool"
)

// rolling is a master whose one socket is to become spec by a reload that is under way.
func rolling(t *testing.T, spec config.Listener) (m *master, old *generation) {
	t.Helper()
	m = idleMaster(t)
	plan := mustPlan(t, nil, config.Listener{Address: spec.Address, Name: "old", Backlog: 7, Mode: config.Mode{Bits: 0o600, Set: true}})
	m.gen.listeners, m.gen.options = plan.list, plan.want
	m.setListeners(plan.list)
	m.started = true
	old = m.gen
	m.begin(&change{kind: reload}) // its file cannot be read, which nobody is told
	<-m.reports
	next := &generation{Limits: old.Limits, Workers: 2, program: program{fd: -1}, House: old.House}
	p := mustPlan(t, plan.list, spec)
	next.listeners, next.options = p.list, p.want
	m.roll(prepared{at: m.change.at, gen: next, plan: p})
	return m, old
}

func name(t *testing.T, g *generation) string {
	t.Helper()
	for _, v := range g.workerEnv(1, 0, "") {
		if names, is := strings.CutPrefix(v, "LISTEN_FDNAMES="); is {
			return names
		}
	}
	t.Fatal("no names")
	return ""
}

// The workers of each generation know the listeners by its own names, whatever the
// sockets are called by now; a reload that fails leaves the sockets as they were.
func TestNamesAndOptionsBelongToTheGeneration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	spec := config.Listener{Address: "unix:" + path, Name: "new", Backlog: 9, Mode: config.Mode{Bits: 0o640, Set: true}}
	m, old := rolling(t, spec)
	next := m.change.next
	check := func(when, called string, mode os.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		must(t, err)
		if l := old.listeners[0]; name(t, old) != "old" || name(t, next) != "new" || l.Name() != called || info.Mode().Perm() != mode {
			t.Errorf("%s the workers know it as %q and %q, it is called %q and has mode %o", when, name(t, old), name(t, next), l.Name(), info.Mode())
		}
	}
	check("with the canary", "old", 0o600)
	m.commit()
	check("in force", "new", 0o640)
	m.aborted("a test")
	check("after it has failed", "old", 0o600)
	if m.gen != old || m.lastReload.Result != "failed" {
		t.Errorf("last reload: %+v", m.lastReload)
	}
}

// WINCH while the canary is on trial: the next HUP still brings all back.
func TestSentAwayDuringAReload(t *testing.T) {
	t.Parallel()
	m, _ := rolling(t, at("127.0.0.1:0"))
	m.allLeave()
	for i := 0; m.change != nil && i < 9; i++ { // the canary that was asked for gets its process, and lives
		for _, e := range m.toSpawn {
			m.step(pool.Event{Kind: pool.Spawned, Slot: e.Slot, Gen: e.Gen, PID: 4e6 + e.Slot})
			m.step(pool.Event{Kind: pool.ReadySaid, PID: 4e6 + e.Slot})
		}
		m.toSpawn = nil
		due, _ := m.pool.Deadline()
		m.start = time.Now().Add(-due) // not a moment later: it would be forgiven
		m.step(pool.Event{Kind: pool.Ticked})
	}
	if m.change != nil || m.lastReload.Result != "ok" {
		t.Fatalf("under way: %+v, last %+v", m.change, m.lastReload)
	}
	if got := m.nextWish(m.gen); m.pool.Wish() != 0 || got != 2 {
		t.Errorf("%d workers are wished for, HUP would make it %d", m.pool.Wish(), got)
	}
}

// A log file that cannot be opened fails the reload before anything has changed.
func TestLogsAreOpenedBeforeAReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "none", "log")
	old := logSettings{Workers: filepath.Join(dir, "old", "log")} // gone meanwhile: nobody asks
	for key, set := range map[string]logSettings{"log_file": {Workers: missing}, "master_log_file": {Workers: old.Workers, Master: missing}} {
		if err := set.check(old); err == nil || !strings.Contains(err.Error(), key+": open log file "+missing) {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, set := range []logSettings{old, {}, {Workers: "/dev/stderr"}, {Workers: filepath.Join(dir, "new"), Master: filepath.Join(dir, "master")}} {
		if err := set.check(old); err != nil {
			t.Errorf("%+v: %v", set, err)
		}
	}
}

// Who cannot be handed a descriptor later, and has one that will be wrong, is
// replaced.
func TestOutdatedOutput(t *testing.T) {
	t.Parallel()
	was := func(path string, foreign bool) *output {
		o := &output{set: logSettings{Workers: path, Foreign: foreign}, file: -1}
		if path != "" {
			o.file = 9
		}
		o.piped = o.needsPipe()
		return o
	}
	app := func(path string) logSettings { return logSettings{Workers: path, Foreign: true} }
	for name, c := range map[string]struct {
		now  *output
		next logSettings
		want bool
	}{
		"nothing new":             {was("a", true), app("a"), false},
		"no file before or after": {was("", true), app(""), false},
		"another file":            {was("a", true), app("b"), false}, // through the pipe
		"the first file":          {was("", true), app("a"), true},
		"no file any more":        {was("a", true), app(""), true},
		"native, another file":    {was("a", false), logSettings{Workers: "b"}, false},
		"foreign from now on":     {was("a", false), app("a"), true},
		"the same, without files": {was("", false), app(""), false},
	} {
		if got := c.now.outdates(c.next); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
