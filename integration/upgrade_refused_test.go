package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// brokenMasters are programs that a bad deploy puts in the place of the master.
// REAL is one that works.
var brokenMasters = []struct {
	name, text string
	mode       os.FileMode
	slow       bool // the preflight has to wait for it
}{
	{"a script that fails", "#!/bin/sh\necho 'boom: no library' >&2\nexit 1\n", 0o755, false},
	{"a script that says nothing", "#!/bin/sh\nexit 0\n", 0o755, false},
	{"a program that sleeps", "#!/bin/sh\nexec sleep 600\n", 0o755, true},
	{"not executable", "#!/bin/sh\nexit 0\n", 0o644, false},
	{"another machine's", alien, 0o755, false},
	{"garbage", "\x00\x01\x02garbage", 0o755, false},
	{"empty", "", 0o755, false},
	{"missing", "", 0, false},
	{"false", "", 0o755, false},
	// Passes every test that is only a test.
	{"a wrapper that fails for real", "#!/bin/sh\nfor word; do case $word in -t|--test|--version) exec REAL \"$@\";; esac; done\nexit 1\n", 0o755, false},
	{"a wrapper that hangs for real", "#!/bin/sh\nfor word; do case $word in -t|--test|--version) exec REAL \"$@\";; esac; done\nexec sleep 600\n", 0o755, true},
}

// A master that cannot take over is not let in: the old one goes on with the same
// pid and the same workers and says why; a good one is then let in (F51, F53).
func TestUpgradeToABrokenMaster(t *testing.T) {
	t.Parallel()
	for _, c := range brokenMasters {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.slow && testing.Short() {
				t.Skip("takes as long as a preflight may")
			}
			d := deploy(t, "workers = 2\n", "")
			d.noCrash()
			before := d.waitWorkers(2)
			tr := d.load(4)
			switch {
			case c.mode == 0:
				remove(t, d.master)
			case c.name == "false":
				d.put(d.master, needProgram(t, "false"))
			default:
				d.script(d.master, strings.ReplaceAll(c.text, "REAL", d.masters[1]), c.mode)
			}
			r := d.failed("upgrade", d.usr2)
			d.unchanged(before)
			if word := strings.Fields(r.Reason); len(word) > 0 {
				d.says(word[len(word)-1]) // the log has it, too
			}
			if !c.slow { // once is enough
				if out := d.verb(1, "upgrade", "--wait"); strings.TrimSpace(out) == "" {
					t.Error("upgrade --wait does not say why")
				}
				d.unchanged(before)
			}
			d.upgraded(0)
			t.Logf("refused: %s", r.Reason)
			tr.endWhole()
			d.healthy()
			kill(t, pids(before)[1], syscall.SIGKILL) // workers can still be started
			d.replaced(1, pids(before)[1])

			d.put(d.master, d.masters[1])
			d.verb(0, "upgrade", "--wait")
			d.settled(2)
			d.upgraded(1)
		})
	}
}

// An upgrade whose file of settings or whose app is broken is refused in the same
// way, and leaves the master of before.
func TestUpgradeWithABrokenFile(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\n", "")
	d.noCrash()
	before := d.waitWorkers(2)
	d.put(d.master, d.masters[1])
	d.edit("workers = 2", "worker_processes = 2")
	if r := d.failed("upgrade", d.usr2); !strings.Contains(r.Reason, "worker_processes") {
		t.Errorf("the reason is %q", r.Reason)
	}
	d.unchanged(before)
	d.upgraded(0)
	d.edit("worker_processes = 2", "workers = 2")
	d.verb(0, "upgrade", "--wait")
	d.settled(2)
	d.upgraded(1)
}

// An upgrade with a broken app keeps the workers. Whether the master is the new one
// then is not promised; that it serves, is one process and can be upgraded again, is.
func TestUpgradeWithABrokenApp(t *testing.T) {
	t.Parallel()
	for i, c := range brokenApps {
		if i%2 == 0 && !*fullLoad {
			continue // a reload has met them all
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 2\nboot_timeout = \""+bootLimit+"\"\n", "")
			d.noCrash()
			before := d.waitWorkers(2)
			tr := d.load(4)
			d.put(d.master, d.masters[1])
			if c.mode == 0 {
				remove(t, d.app)
			} else {
				d.script(d.app, strings.ReplaceAll(c.text, "REAL", d.apps[1]), c.mode)
			}
			if r := d.failed("upgrade", d.usr2); !strings.Contains(r.Reason, c.why) {
				t.Errorf("the reason does not say %q: %s", c.why, r.Reason)
			}
			d.unchanged(before)
			d.verb(1, "upgrade", "--wait")
			d.unchanged(before)
			if c.serves { // what it had when it ended is lost
				tr.end()
			} else {
				tr.endWhole()
			}
			old := pids(before)[1]
			kill(t, old, syscall.SIGKILL)
			d.reachVersion(d.replaced(1, old), firstApp)

			d.put(d.app, d.apps[1])
			d.verb(0, "upgrade", "--wait")
			d.settled(2)
			d.upgraded(1)
			d.answersWith(secondApp)
		})
	}
}
