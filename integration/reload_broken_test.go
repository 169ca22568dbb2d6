package integration

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// alien is how a program for another machine begins.
const alien = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00"

// brokenApps are programs that a bad deploy puts in the place of the app. REAL is
// one that works; a shell that has become it keeps its process.
var brokenApps = []struct {
	name, text string
	mode       os.FileMode
	why        string // part of the reason
	serves     bool
}{
	{"exits at its start", "#!/bin/sh\necho 'boom: no database' >&2\nexit 3\n", 0o755, "exited with status 3", false},
	{"hangs at its start", "#!/bin/sh\nBOOT=hang exec REAL\n", 0o755, bootLimit, false},
	{"ends soon after it is ready", "#!/bin/sh\nBOOT=late exec REAL\n", 0o755, "exited with status 3", true},
	{"is not executable", "#!/bin/sh\nexit 3\n", 0o644, "executable", false},
	{"is for another machine", alien, 0o755, "exec format error", false},
	{"is missing", "", 0, "exist", false},
}

// A broken app changes nothing: the same workers serve on, last_reload and
// `reload --wait` say why; one that is killed then comes back from the program
// that works, though that has no file any more (F22, F49).
func TestReloadOfABrokenApp(t *testing.T) {
	t.Parallel()
	for _, c := range brokenApps {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 2\nboot_timeout = \""+bootLimit+"\"\n", "")
			d.noCrash()
			before := d.waitWorkers(2)
			tr := d.load(4)
			if c.mode == 0 {
				remove(t, d.app)
			} else {
				d.script(d.app, strings.ReplaceAll(c.text, "REAL", d.apps[1]), c.mode)
			}
			if r := d.failed("reload", d.hup); !strings.Contains(r.Reason, c.why) {
				t.Errorf("the reason does not say %q: %s", c.why, r.Reason)
			}
			d.unchanged(before)
			if out := d.verb(1, "reload", "--wait"); !strings.Contains(out, c.why) {
				t.Errorf("reload --wait does not say %q: %s", c.why, out)
			}
			d.unchanged(before)
			d.answersWith(firstApp)
			d.healthy()
			if c.serves { // what it had when it ended is lost
				tr.end()
			} else if got := tr.endWhole(); got.versions[firstApp] != got.ok {
				t.Errorf("answers came from %v", got.versions)
			}

			old := pids(before)[1]
			kill(t, old, syscall.SIGKILL)
			fresh := d.replaced(1, old)
			d.untouched(2, pids(before)[2])
			d.reachVersion(fresh, firstApp)
			d.settled(2)

			d.put(d.app, d.apps[1])
			d.verb(0, "reload", "--wait")
			d.settled(2)
			d.answersWith(secondApp)
		})
	}
}

// reachVersion asks until the worker pid has answered, and checks its version.
func (s *server) reachVersion(pid int, version string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("worker process %d answers", pid), func() bool {
		got := s.talk("GET", "/pattern?bytes=0")
		if got.err != nil || !strings.Contains(got.bytes, fmt.Sprintf("X-Pid: %d\r\n", pid)) {
			return false
		}
		if !strings.Contains(got.bytes, "X-Version: "+version+"\r\n") {
			s.t.Errorf("worker process %d is not of version %s: %s", pid, version, got)
		}
		return true
	})
}

// TERM while a reload waits for a slow app: the server ends, soon, as it should (F54).
func TestTermDuringReload(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"slow", "deaf"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 2\nworker_kill_timeout = \"1s\"\n", "")
			d.noCrash() // the deaf one is killed
			d.waitWorkers(2)
			d.script(d.app, fmt.Sprintf("#!/bin/sh\nBOOT=%s BOOT_FOR=60s exec %s\n", how, d.apps[1]), 0o755)
			tr := d.load(2)
			tr.more(10)
			d.hup()
			eventually(t, "a worker of the new generation is starting", func() bool {
				for _, w := range d.status().Workers {
					if w.State == "starting" {
						return true
					}
				}
				return false
			})
			if how == "deaf" {
				d.log.wait(t, "testapp: deaf", d.exited)
			}
			tr.endWhole()
			took := timed(t, "the stop", func() {
				d.signal(syscall.SIGTERM)
				d.ends(0)
			})
			if took > patience/2 {
				t.Errorf("it took %s", took)
			}
		})
	}
}
