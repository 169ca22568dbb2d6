//go:build linux

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// A frozen worker cannot even be killed until it thaws: the others serve, its
// successor comes, and the master waits without spinning (F8).
func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\nheartbeat_timeout = \"1s\"\n"+app())
	workers := pids(s.waitWorkers(2))
	s.beaten(workers)
	thaw := freeze(t, workers[2])
	eventually(t, "the frozen worker has a successor and waits for its end", func() bool {
		st := s.status()
		frozen := false
		for _, w := range st.Workers {
			frozen = frozen || w.PID == workers[2] && w.State == "killed"
		}
		return frozen && len(pids(st)) == 2
	})
	s.log.wait(t, "msg=\"worker killed\" worker=2", s.exited)
	if n := s.log.count("worker killed"); n != 1 {
		t.Errorf("killed %d times", n)
	}
	if _, err := s.tryGet("/pid"); err != nil {
		t.Error(err)
	}
	thaw()
	eventually(t, "it is gone", func() bool { return len(s.status().Workers) == 2 })
	if st := s.status(); st.Counters.Exits["silent"] != 1 || st.Counters.Spawned != 3 {
		t.Errorf("counted %+v", st.Counters)
	}
	s.untouched(1, workers[1])
}

// freeze puts pid into a cgroup of its own and stops it there.
func freeze(t *testing.T, pid int) (thaw func()) {
	t.Helper()
	name := fmt.Sprintf("fugue-test-freeze-%d", pid)
	dir, file, on, off := "/sys/fs/cgroup/freezer/"+name, "freezer.state", "FROZEN", "THAWED"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		dir, file, on, off = "/sys/fs/cgroup/"+name, "cgroup.freeze", "1", "0"
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("needs a freezer cgroup that may be written: %v", err)
	}
	set := func(name, text string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644) }
	t.Cleanup(func() {
		_ = set(file, off)
		eventually(t, "the cgroup can be removed", func() bool { return os.Remove(dir) == nil })
	})
	if err := set("cgroup.procs", strconv.Itoa(pid)); err != nil {
		t.Skipf("needs a freezer cgroup that may be written: %v", err)
	}
	if err := set(file, on); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := set(file, off); err != nil {
			t.Error(err)
		}
	}
}
