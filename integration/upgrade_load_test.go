package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// upgraded checks who runs after the i-th swap of versions.
func (d *deployment) upgraded(i int) {
	d.t.Helper()
	st := d.look()
	if st.PID != d.pid {
		d.t.Errorf("the master is process %d, not %d", st.PID, d.pid)
	}
	if second := st.Version == secondMaster; second != (i%2 == 1) {
		d.t.Errorf("after %d upgrades the master is of version %s", i, st.Version)
	}
}

// Reloads and upgrades, each with the other version of app and master, under load:
// no request is lost, the process stays the same (F51).
func TestUpgradeUnderLoad(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 3\n", twoListeners)
	before := d.waitWorkers(3).Version
	if before == secondMaster {
		t.Fatalf("both masters are of version %s", before)
	}
	tr := d.load(32, d.both()...)
	tr.more(100)
	apps, masters := 0, 0
	for range full(10, 2) {
		for _, act := range []string{"reload", "reload", "upgrade"} {
			apps++
			d.put(d.app, d.apps[apps%2])
			if act == "upgrade" {
				masters++
				d.put(d.master, d.masters[masters%2])
				timed(t, "an upgrade", func() { d.ok("upgrade", d.usr2) })
			} else {
				timed(t, "a reload", func() { d.ok("reload", d.hup) })
			}
			tr.more(full(4000, 50))
			d.settled(3)
			d.upgraded(masters)
			d.answersWith([]string{firstApp, secondApp}[apps%2])
		}
	}
	got := tr.endWhole()
	if *fullLoad && got.ok < 100_000 {
		t.Errorf("only %d requests", got.ok)
	}
	noGap(t, got)
	if exits := d.look().Counters.Exits; exits["crash"]+exits["silent"]+exits["timeout"] > 0 {
		t.Errorf("counted %v", exits)
	}
}

// A large download and a large upload go on over a reload and two upgrades (F63).
func TestUpgradeDuringTransfers(t *testing.T) {
	t.Parallel()
	d := deploy(t, slowTransfers, "")
	upgrade := func() {
		d.put(d.master, d.masters[1])
		d.put(d.app, d.apps[1])
		d.ok("upgrade", d.usr2)
		d.upgraded(1)
		d.answersWith(secondApp)
	}
	d.across(full(100<<20, 24<<20), upgrade, func() { d.ok("reload", d.hup) }, upgrade)
	d.settled(2)
}

// What a process holds, for tests that look for leaks.
type holding struct{ files, threads, kib int }

func (s *server) holding() (h holding) {
	s.t.Helper()
	h.files = s.quietFiles()
	h.threads, _ = strconv.Atoi(statusField(s.t, s.pid, "Threads"))
	h.kib, _ = strconv.Atoi(strings.Fields(statusField(s.t, s.pid, "VmRSS"))[0])
	return h
}

// One upgrade after the other: the master holds no more than after the first ones.
func TestManyUpgrades(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\nmaster_pid_path = \"master.pid\"\nmaster_log_file = \"master.log\"\nlog_file = \"app.log\"\n", twoListeners)
	d.waitWorkers(2)
	var first, last holding
	upgrades := full(100, 5)
	for i := range upgrades {
		d.put(d.master, d.masters[(i+1)%2])
		d.verb(0, "upgrade", "--wait")
		d.settled(2)
		d.upgraded(i + 1)
		last = d.holding()
		if i < 2 {
			first = last
		}
	}
	t.Logf("after two upgrades %+v, after %d %+v", first, upgrades, last)
	if last.files != first.files || last.threads > first.threads+8 || last.kib > first.kib+first.kib/2 {
		t.Errorf("the master held %+v and holds %+v", first, last)
	}
	eventually(t, "two workers and the log process are left, no zombie", func() bool {
		all, zombies := d.children()
		return (all == 2 || all == 3) && zombies == 0
	})
	d.get("/pid")
	d.signal(syscall.SIGTERM)
	d.ends(0)
	for _, name := range []string{"master.pid", "control.sock", "app.sock"} {
		if _, err := os.Lstat(filepath.Join(d.dir, name)); !os.IsNotExist(err) {
			t.Errorf("%s is left (%v)", name, err)
		}
	}
	if text := readAll(t, filepath.Join(d.dir, "master.log")); strings.Contains(text, "level=ERROR") {
		t.Error(text)
	}
}

// What the master knew it still knows after an upgrade, and what it held it holds.
func TestUpgradeKeepsWhatIsKnown(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\nmaster_pid_path = \"master.pid\"\nmaster_log_file = \"master.log\"\nlog_file = \"app.log\"\n", twoListeners)
	in := func(name string) string { return filepath.Join(d.dir, name) }
	victim := pids(d.waitWorkers(2))[1]
	kill(t, victim, syscall.SIGKILL)
	d.replaced(1, victim)
	eventually(t, "the incident is there", func() bool { return len(d.incidents()) == 1 })
	d.post("/scale", `{"workers":3}`)
	before, seen := d.waitWorkers(3), d.incidents()
	sock, err := os.Lstat(in("app.sock"))
	if err != nil {
		t.Fatal(err)
	}

	d.put(d.master, d.masters[1])
	d.ok("upgrade", d.usr2)
	now := d.settled(3)
	d.upgraded(1)
	sameListeners(t, before, now)
	if now.Counters.Spawned != before.Counters.Spawned+3 || now.Counters.Exits["crash"] != 1 || now.Counters.Exits["reload"] != 3 {
		t.Errorf("counted %+v, and before %+v", now.Counters, before.Counters)
	}
	if now.Generation != before.Generation+1 {
		t.Errorf("generation %d has become %d", before.Generation, now.Generation)
	}
	if list := d.incidents(); len(list) != 1 || list[0].ID != seen[0].ID || !list[0].At.Equal(seen[0].At) || list[0].PID != victim {
		t.Errorf("incidents %+v have become %+v", seen, list)
	}
	for slot, restarts := range map[int]int{1: 1} {
		for _, w := range now.Workers {
			if w.ID == slot && w.Restarts < restarts {
				t.Errorf("worker %d was restarted %d times: %+v", slot, restarts, w)
			}
		}
	}
	if after, err := os.Lstat(in("app.sock")); err != nil || !os.SameFile(sock, after) {
		t.Errorf("the unix socket is not the file it was (%v)", err)
	}
	if pid := strings.TrimSpace(readAll(t, in("master.pid"))); pid != strconv.Itoa(d.pid) {
		t.Errorf("the pid file says %s, not %d", pid, d.pid)
	}
	d.stillLocked()
	d.logsGoOn(t)
}

// stillLocked checks that a second master is refused.
func (d *deployment) stillLocked() {
	d.t.Helper()
	dir, _ := place(d.t, fmt.Sprintf("master_pid_path = %q\nworkers = 1\n", filepath.Join(d.dir, "master.pid"))+app())
	again(d.t, dir).refused(fmt.Sprintf("held by process %d", d.pid))
}

// logsGoOn has workers and master write, before and after the files are moved.
func (d *deployment) logsGoOn(t *testing.T) {
	d.t.Helper()
	masterLog, appLog := filepath.Join(d.dir, "master.log"), filepath.Join(d.dir, "app.log")
	for i, tag := range []string{"first", "second"} {
		d.get("/log?n=1&tag=" + tag)
		waitText(d.t, appLog, "line "+tag+" 0")
		d.post("/scale", fmt.Sprintf(`{"workers":%d}`, 4+i))
		d.waitWorkers(4 + i)
		waitText(d.t, masterLog, fmt.Sprintf("worker=%d", 4+i))
		if i == 0 {
			d.rename(masterLog, masterLog+".0")
			d.rename(appLog, appLog+".0")
			d.signal(syscall.SIGUSR1)
			waitText(d.t, masterLog, "logs reopened")
			for _, pid := range pids(d.status()) {
				waitWriter(t, pid, appLog)
			}
		}
	}
}
