package integration

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/control"
)

// The versions of the programs under test: the first is what TestMain has built.
const (
	firstApp     = "v1"
	secondApp    = "v2"
	secondMaster = "22.2.2"
)

// bootLimit is longer than a start may take on a machine that is busy, and all
// that is spent on an app that hangs.
var bootLimit = map[bool]string{false: "3s", true: "15s"}[raceEnabled]

// second is the second version of the programs, built when a test wants it. It
// has no stamp of the repository, which would take the place of its number.
var second = sync.OnceValues(func() (two struct{ fugue, app, facade string }, err error) {
	dir := filepath.Join(programs.dir, "second")
	two.fugue, two.app, two.facade = dir+"/fugue-http", dir+"/testapp", dir+"/facadeapp"
	args := []string{"build", "-o", dir + "/", "-buildvcs=false", "-ldflags",
		"-X main.version=" + secondApp + " -X github.com/fugue-http/fugue/internal/version.number=" + secondMaster}
	if raceEnabled {
		args = append(args, "-race")
	}
	args = append(args, "../cmd/fugue-http", "../integration/testapp", "../integration/facadeapp")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return two, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return two, nil
})

// deployment is a server whose programs have paths of their own, where other
// versions can be put.
type deployment struct {
	*server
	file        string // the settings
	master, app string
	masters     [2]string // builds to put there: first and second version
	apps        [2]string
}

// deploy starts the first versions with the lines top before the table [app], and
// rest after its command.
func deploy(t testing.TB, top, rest string) *deployment {
	t.Helper()
	d := prepare(t, top, rest)
	d.run()
	return d
}

// prepare does not start it.
func prepare(t testing.TB, top, rest string) *deployment {
	t.Helper()
	two, err := second()
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	d := &deployment{server: &server{t: t, dir: dir}, file: filepath.Join(dir, "unicorn.toml"),
		master: filepath.Join(dir, "fugue-http"), app: filepath.Join(dir, "app"),
		masters: [2]string{programs.fugue, two.fugue}, apps: [2]string{programs.app, two.app}}
	d.put(d.master, d.masters[0])
	d.put(d.app, d.apps[0])
	if !strings.Contains(top, "worker_kill_timeout") {
		top = "worker_kill_timeout = \"10s\"\n" + top
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(filepath.Join(dir, "master.log")); t.Failed() && err == nil {
			t.Logf("log file of the master:\n%s", text)
		}
	})
	put(t, d.file, config+top+fmt.Sprintf("[app]\ncommand = [%q]\nready = \"pipe\"\n", d.app)+rest)
	return d
}

func (d *deployment) run(through ...string) {
	d.t.Helper()
	args := append(through, d.master, "-c", d.file)
	d.server = launchCommand(d.t, d.dir, exec.Command(args[0], args[1:]...))
	d.running() // its log may be a file
}

// put makes path another program, as a deploy does: by rename, so that the one
// that runs is not written to.
func (d *deployment) put(path, from string) {
	d.t.Helper()
	fresh := path + ".new"
	if os.Link(from, fresh) != nil { // quicker than a copy, on one file system
		cp(d.t, from, fresh)
	}
	d.rename(fresh, path)
	_ = os.Remove(fresh) // two links to one file are not renamed
}

// script makes path a file with this text.
func (d *deployment) script(path, text string, mode os.FileMode) {
	d.t.Helper()
	fresh := path + ".new"
	put(d.t, fresh, text)
	if err := os.Chmod(fresh, mode); err != nil {
		d.t.Fatal(err)
	}
	d.rename(fresh, path)
}

func (d *deployment) rename(from, to string) {
	d.t.Helper()
	if err := os.Rename(from, to); err != nil {
		d.t.Fatal(err)
	}
}

// edit changes words of the settings file.
func (d *deployment) edit(pairs ...string) {
	d.t.Helper()
	d.script(d.file, strings.NewReplacer(pairs...).Replace(readAll(d.t, d.file)), 0o644)
}

// seldom is eventually for what takes seconds and is not asked for free: a look at
// the status costs the master as much as a request.
func seldom(t testing.TB, what string, ok func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		if ok() {
			return true
		}
		time.Sleep(25 * time.Millisecond) // between two looks, not instead of one
		return false
	})
}

// at is the same server, reached by another of its addresses.
func (s *server) at(address string) *server {
	other := *s
	other.address = address
	return &other
}

// look is the status, asked for again while a master that becomes another one
// cuts the answer.
func (s *server) look() (st control.Status) {
	s.t.Helper()
	eventually(s.t, "the control socket answers", func() (ok bool) {
		select {
		case <-s.exited:
			s.t.Fatalf("the master has ended; its log:\n%s", s.log)
		default:
		}
		var err error
		st, err = s.tryStatus()
		return err == nil
	})
	return st
}

// outcome waits for the end of the reload or upgrade that act asks for.
func (s *server) outcome(act func()) control.Reload {
	s.t.Helper()
	before := s.look().LastReload
	act()
	var now *control.Reload
	seldom(s.t, "last_reload has news", func() bool {
		st := s.look()
		now = st.LastReload
		return now != nil && (before == nil || !now.At.Equal(before.At)) && st.State == "running"
	})
	return *now
}

func (s *server) hup()  { s.t.Helper(); s.signal(syscall.SIGHUP) }
func (s *server) usr2() { s.t.Helper(); s.signal(syscall.SIGUSR2) }

// ok and failed name what is expected of an outcome.
func (s *server) ok(kind string, act func()) {
	s.t.Helper()
	if r := s.outcome(act); r.Kind != kind || r.Result != "ok" || r.Reason != "" {
		s.t.Fatalf("%s: %+v; log:\n%s", kind, r, s.log)
	}
}

func (s *server) failed(kind string, act func()) control.Reload {
	s.t.Helper()
	r := s.outcome(act)
	if r.Kind != kind || r.Result != "failed" || r.Reason == "" {
		s.t.Errorf("%s should have failed: %+v", kind, r)
	}
	return r
}

// settled waits until exactly n workers exist, all ready and of one generation.
func (s *server) settled(n int) (st control.Status) {
	s.t.Helper()
	seldom(s.t, fmt.Sprintf("%d workers of one generation are ready", n), func() bool {
		st = s.look()
		if st.State != "running" || len(st.Workers) != n || len(pids(st)) != n {
			return false
		}
		for _, w := range st.Workers {
			if w.Generation != st.Generation {
				return false
			}
		}
		return true
	})
	return st
}

// unchanged checks that st's workers serve on, in its generation, and nobody else
// once those who were killed are gone.
func (s *server) unchanged(st control.Status) {
	s.t.Helper()
	now := s.look()
	if now.Generation != st.Generation || !maps.Equal(pids(now), pids(st)) {
		s.t.Errorf("generation %d with workers %v has become %d with %+v", st.Generation, pids(st), now.Generation, now.Workers)
	}
	if now.PID != s.pid {
		s.t.Errorf("the master is %d, not %d", now.PID, s.pid)
	}
	seldom(s.t, fmt.Sprintf("there are %d workers", len(st.Workers)), func() bool { return len(s.look().Workers) == len(st.Workers) })
}

// answersWith checks which version of the app answers.
func (s *server) answersWith(version string) {
	s.t.Helper()
	for range 8 {
		if got := s.get("/version"); got != version {
			s.t.Errorf("%s answers, not %s", got, version)
		}
	}
}

// noCrash is what remains of the harness's look at the log where errors are
// expected.
func (s *server) noCrash() {
	s.t.Helper()
	s.unclean = true
	s.t.Cleanup(func() {
		for line := range strings.Lines(s.log.String()) {
			for _, bad := range []string{"panic:", "DATA RACE", "fatal error", "internal error"} {
				if strings.Contains(line, bad) {
					s.t.Errorf("unexpected in the log: %s", line)
				}
			}
		}
	})
}

// noErrors checks a log file of the master as the harness does its stderr.
func (s *server) noErrors(name string) {
	s.t.Helper()
	for line := range strings.Lines(readAll(s.t, filepath.Join(s.dir, name))) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "internal error") {
			s.t.Errorf("unexpected in %s: %s", name, line)
		}
	}
}

// timed logs how long a thing took.
func timed(t testing.TB, what string, do func()) time.Duration {
	t.Helper()
	began := time.Now()
	do()
	took := time.Since(began)
	t.Logf("%s took %s", what, took.Round(time.Millisecond))
	return took
}
