package integration

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A worker that dies at any moment of an upgrade is reaped and replaced, whoever
// is the master then.
func TestWorkerKilledAtEachMoment(t *testing.T) {
	t.Parallel()
	long(t)
	for _, moment := range moments {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 3\n", "")
			d.noCrash()
			workers := pids(d.waitWorkers(3))
			d.put(d.master, d.masters[1])
			d.put(d.app, d.apps[1])
			d.ok("upgrade", func() {
				d.usr2()
				d.log.wait(t, moment, d.exited)
				_ = syscall.Kill(workers[3], syscall.SIGKILL)
			})
			d.settled(3)
			d.upgraded(1)
			d.answersWith(secondApp)
			eventually(t, "three workers are left, no zombie", func() bool { all, zombies := d.children(); return all == 3 && zombies == 0 })
			if exits := d.look().Counters.Exits; exits["crash"] != 1 || exits["reload"] < 2 || exits["reload"] > 3 {
				t.Errorf("counted %v", exits)
			}
		})
	}
}

// An incident that is open when the master is replaced is closed by the next one:
// its request returns, or its worker leaves.
func TestIncidentsOutliveAnUpgrade(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\nmax_surge = 4\ntimeout = \"300ms\"\nworker_kill_timeout = \"20s\"\n", "[watch]\ngrace = \"60s\"\n")
	d.waitWorkers(2)
	away := filepath.Join(d.dir, "away")
	put(t, away, "")
	returns, stays := d.later("GET", "/dependent?on="+away), d.later("GET", "/stuck?how=block")
	open := map[string]string{}
	for _, path := range []string{"/dependent", "/stuck"} {
		open[path] = d.incident(path, "open").ID
	}
	d.put(d.master, d.masters[1])
	d.script(d.app, "#!/bin/sh\nBOOT=slow BOOT_FOR=4s exec "+d.apps[1]+"\n", 0o755) // until then the old workers stay
	d.ok("upgrade", func() {
		d.usr2()
		d.log.wait(t, "took over", d.exited)
		remove(t, away)
		if closed := d.incident("/dependent", "recovered"); closed.ID != open["/dependent"] {
			t.Errorf("incident %s is closed as %+v", open["/dependent"], closed)
		}
	})
	d.upgraded(1)
	if closed := d.incident("/stuck", "killed"); closed.ID != open["/stuck"] {
		t.Errorf("incident %s is closed as %+v", open["/stuck"], closed)
	}
	for _, answer := range []<-chan exchange{returns, stays} {
		if got := <-answer; got.status() != "504" {
			t.Errorf("a client got %s", got)
		}
	}
	d.settled(2)
}

// What is asked for before the first workers are ready is done afterwards.
func TestUpgradeDuringTheStart(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 2\n", "env = { BOOT = \"slow\", BOOT_FOR = \"1s\" }\n")
	d.server = again(t, d.dir) // the master that is built in
	d.log.wait(t, "master started", d.exited)
	d.starting(2)
	d.hup()
	d.usr2()
	d.waitReady()
	eventually(t, "there was a reload", func() bool { return d.look().LastReload != nil })
	if st := d.settled(2); st.Generation < 2 || st.LastReload.Result != "ok" {
		t.Errorf("generation %d, %+v", st.Generation, st.LastReload)
	}
	d.get("/pid")
}

// An app that only writes loses no line, whoever reads them.
func TestLogLinesOutliveUpgrades(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 2\nlog_file = \"app.log\"\nmaster_log_file = \"master.log\"\n", "")
	d.script(d.app, "#!/bin/sh\ntrap 'exit 0' TERM\ni=0\nwhile :; do echo line $$ $i; i=$((i+1)); sleep 0.02; done\n", 0o755)
	d.edit("ready = \"pipe\"", "ready = \"200ms\"")
	d.run()
	file := filepath.Join(d.dir, "app.log")
	for i := range 2 {
		d.put(d.master, d.masters[(i+1)%2])
		d.ok("upgrade", d.usr2)
		d.upgraded(i + 1)
		d.ok("reload", d.hup)
		if i == 0 {
			d.rename(file, file+".0")
			d.signal(syscall.SIGUSR1)
		}
		waitText(t, file, "line "+fmt.Sprint(pids(d.settled(2))[1])+" ")
	}
	d.signal(syscall.SIGTERM)
	d.ends(0)
	numbers, others := tally(t, file)
	if len(others) > 0 {
		t.Errorf("other lines: %q", others)
	}
	if len(numbers) < 2*5 {
		t.Errorf("only %d processes have written", len(numbers))
	}
	for pid, got := range numbers {
		slices.Sort(got)
		for want, n := range got {
			if n != want {
				t.Errorf("process %s: line %d comes where %d should: %v", pid, n, want, got)
				break
			}
		}
	}
}

// Neither master nor worker of a later image has descriptors or variables that
// those of the first had not.
func TestUpgradeLeavesNoTrace(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 1\n", twoListeners)
	before, env := d.self(), procEnviron(t, d.pid)
	for range 3 {
		d.ok("upgrade", d.usr2)
		d.settled(1)
	}
	now := d.self()
	if len(now.FDs) != len(before.FDs) {
		t.Errorf("a worker had %v and has %v", before.FDs, now.FDs)
	}
	for i, list := range [][2][]string{{before.Env, now.Env}, {env, procEnviron(t, d.pid)}} {
		if was, is := names(list[0]), names(list[1]); !slices.Equal(was, is) && i == 0 {
			t.Errorf("a worker had the variables %v and has %v", was, is)
		} else if len(is) > len(was)+1 { // what the new image is told
			t.Errorf("the master had the variables %v and has %v", was, is)
		}
	}
	if comm := strings.TrimSpace(readAll(t, fmt.Sprintf("/proc/%d/comm", d.pid))); comm != "fugue-http" {
		t.Errorf("ps shows %q", comm)
	}
}

// names are the variables without their values.
func names(env []string) (found []string) {
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		found = append(found, name)
	}
	slices.Sort(found)
	return found
}
