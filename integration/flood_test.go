package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// floods are what a worker may write into its pipe without end.
var floods = map[string]string{
	"beats":      `{"type":"beat","in_flight":1,"oldest_ms":5}` + "\n",
	"readies":    `{"type":"ready"}` + "\n",
	"recoveries": `{"type":"recovered","id":"1"}` + "\n",
	"incidents":  `{"type":"overdue","id":"1","path":"/flood"}` + "\n",
	"lies":       `{"type":"overdue","id":"2","path":"/flood","stack":"` + strings.Repeat(`main.x\n`, 4<<10) + `"}` + "\n",
	"reopens":    `{"type":"reopen"}` + "\n",
	"unknown":    `{"type":"weather"}` + "\n",
	"newlines":   strings.Repeat("\n", 4<<10),
	"garbage":    strings.Repeat("\x00\xff{]\n", 1<<10),
	"deep":       strings.Repeat("[", 100_000) + "\n",
	"no newline": strings.Repeat("x", 1<<20), // and so 100 MB and more
}

// A worker that floods its pipe without end costs the master a part of one CPU and
// no memory, whatever it writes, and its neighbour nothing.
func TestFloodOfThePipe(t *testing.T) {
	t.Parallel()
	for what, text := range floods {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := launch(t, "workers = 2\nlog_file = \"app.log\"\nmaster_log_file = \"master.log\"\n[watch]\ngrace = \"60s\"\n"+app())
			s.unclean = true
			s.running() // its log is a file: this process must not have to read it
			workers := pids(s.waitWorkers(2))
			s.villain(0)("flood", 1<<30, text)
			s.flat()
			s.reach(workers)
			if st := s.status(); len(pids(st)) != 2 {
				t.Errorf("%+v", st.Workers)
			}
			s.verb(0, "stop", "--quick")
		})
	}
}

// flat measures the master while it is flooded.
func (s *server) flat() {
	s.t.Helper()
	const window = 3 * time.Second
	rss, cpu, began := residentKiB(s.t.(*testing.T), s.pid), cpuOf(s.t, s.pid), time.Now()
	slowest := time.Duration(0)
	for time.Since(began) < window {
		at := time.Now()
		s.status()
		slowest = max(slowest, time.Since(at))
		time.Sleep(100 * time.Millisecond) // the looks themselves must not be what is measured
	}
	used, grown := cpuOf(s.t, s.pid)-cpu, residentKiB(s.t.(*testing.T), s.pid)-rss
	share := float64(used) / float64(time.Since(began))
	s.t.Logf("the master has used %.1f %% of a CPU and grown by %d KiB, from %d; the slowest status took %s", 100*share, grown, rss, slowest)
	if raceEnabled {
		return // its instruments cost both
	}
	if share > 0.25 {
		s.t.Errorf("the master has used %.0f %% of a CPU", 100*share)
	}
	if grown > 16<<10 {
		s.t.Errorf("the master has grown by %d KiB", grown)
	}
	if slowest > 2*time.Second {
		s.t.Errorf("status took %s", slowest)
	}
}

// cpuOf is the time that a process has run.
func cpuOf(t testing.TB, pid int) time.Duration {
	t.Helper()
	_, after, _ := strings.Cut(readAll(t, fmt.Sprintf("/proc/%d/stat", pid)), ") ")
	f := strings.Fields(after)
	var user, system int64
	_, _ = fmt.Sscan(f[11]+" "+f[12], &user, &system) // utime and stime, see proc_pid_stat(5)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// What another process says in a worker's name is not believed, though it has its
// environment, user and group; and a flood of it costs the master little.
func TestFloodOfForgedNotifications(t *testing.T) {
	t.Parallel()
	needProgram(t, "python3")
	s := launch(t, "workers = 1\nverbose = true\n"+notifier(t, "forged"))
	s.log.wait(t, "msg=\"master started\"", s.exited)
	slot := s.starting(1)
	eventually(t, "the child shouts", func() bool { return len(children(t, slot)) == 1 })
	s.address = s.status().Listeners[0].Address
	s.flat()
	if w := s.status().Workers[0]; w.State != "starting" || w.PID != slot || s.log.count("forged") > 0 {
		t.Errorf("a child was believed: %+v", w)
	}
	put(t, filepath.Join(s.dir, "go"), "")
	s.waitReady()
	if got := s.get("/"); got != fmt.Sprint(slot) {
		t.Errorf("%s answers, not %d", got, slot)
	}
	s.noneReplaced(map[int]int{1: slot})
}

// So does a flood by the worker itself.
func TestFloodOfNotifications(t *testing.T) {
	t.Parallel()
	needProgram(t, "python3")
	s := start(t, "workers = 1\n"+notifier(t, "own"))
	before := pids(s.status())
	s.flat()
	s.get("/")
	s.noneReplaced(before)
}

func notifier(t testing.TB, mode string) string {
	return strings.Replace(clientApp(t, "python3", "foreignapp/notify.py"), `"pipe"`, `"notify"`, 1) + fmt.Sprintf("env = { MODE = %q }\n", mode)
}
