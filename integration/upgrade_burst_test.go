package integration

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Upgrades asked for in one burst are done once or twice, never at the same time,
// in one process (F52).
func TestUpgradesAtOnce(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\nmax_surge = 1\n", "")
	first := d.waitWorkers(2)
	tr, looks := d.load(8), d.census()
	d.put(d.master, d.masters[1])
	for range 5 {
		d.usr2()
		d.hup()
	}
	seldom(t, "the second version runs", func() bool { return d.look().Version == secondMaster })
	tr.more(100)
	st := d.settled(2)
	d.upgraded(1)
	if st.Generation <= first.Generation || st.LastReload.Result != "ok" {
		t.Errorf("generation %d after %d, %+v", st.Generation, first.Generation, st.LastReload)
	}
	looks.stop(2+1, 2)
	tr.endWhole()
}

// The verbs, several at a time: each ends, and with the truth.
func TestUpgradesAndReloadsThatWait(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\n", "")
	d.waitWorkers(2)
	d.put(d.master, d.masters[1])
	d.put(d.app, d.apps[1])
	ends := make(chan error, 6)
	for i := range cap(ends) {
		word := []string{"reload", "upgrade"}[i%2]
		go func() {
			out, err := exec.Command(programs.fugue, word, "--wait", "-s", d.controlPath()).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%s --wait: %w: %s", word, err, out)
			}
			ends <- err
		}()
	}
	for range cap(ends) {
		select {
		case err := <-ends:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(2 * patience):
			t.Fatal("a client waits for ever")
		}
	}
	d.settled(2)
	d.upgraded(1)
	d.answersWith(secondApp)
}

// TERM in a burst with USR2 and HUP wins, wherever it finds the upgrade (F52, F54).
func TestTermAmidUpgrade(t *testing.T) {
	t.Parallel()
	for i := range full(40, 8) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 2\nmaster_pid_path = \"master.pid\"\n", "")
			d.noCrash()
			d.waitWorkers(2)
			d.put(d.master, d.masters[1])
			switch i % 4 {
			case 0:
				d.usr2()
				d.hup()
			case 1:
				d.hup()
				d.usr2()
			case 2:
				d.usr2()
				d.usr2()
			case 3: // TERM comes first
			}
			time.Sleep(time.Duration(i/4) * 25 * time.Millisecond) // where in the upgrade TERM comes is what differs
			d.signal(syscall.SIGTERM)
			if i%4 == 3 {
				d.usr2()
				d.hup()
			}
			d.endsByTerm()
			seldom(t, "nobody runs from the folder", func() bool { return len(runFrom(t, d.dir)) == 0 })
		})
	}
}

// endsByTerm waits for an end in order, or, in the moment in which one program
// gives way to the other, by the signal itself.
func (s *server) endsByTerm() {
	s.t.Helper()
	code := s.wait()
	var exit *exec.ExitError
	if errors.As(s.err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
		s.t.Log("ended by the signal itself")
		return
	}
	if code != 0 {
		s.t.Errorf("it ended with %v", s.err)
	}
}

// runFrom lists the processes whose program is in a folder.
func runFrom(t testing.TB, dir string) (found []int) {
	for _, pid := range processes(t) {
		link, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if strings.HasPrefix(link, dir+"/") {
			found = append(found, pid)
		}
	}
	return found
}

// The master is killed in any moment of an upgrade: its workers leave (F33).
func TestKillAmidUpgrade(t *testing.T) {
	t.Parallel()
	for i := range full(30, 5) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 2\n", "")
			d.noCrash()
			d.waitWorkers(2)
			d.put(d.master, d.masters[1])
			d.usr2()
			time.Sleep(time.Duration(i) * 40 * time.Millisecond) // any moment
			d.signal(syscall.SIGKILL)
			<-d.exited
			began := time.Now()
			seldom(t, "nobody runs from the folder", func() bool { return len(runFrom(t, d.dir)) == 0 })
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the orphans left after %s", took)
			}
		})
	}
}

// stormSignals are all that a master is sent by people and by the system, except
// those that end it.
var stormSignals = []syscall.Signal{
	syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGWINCH,
	syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGCONT,
}

// Any signals in any order: the master is there, knows what it is to do, and holds
// what it held (F55).
func TestSignalStorm(t *testing.T) {
	t.Parallel()
	long(t)
	signals := full(5000, 500)
	if raceEnabled && !*fullLoad { // each start takes a second
		signals = 100
	}
	for seed := range int64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 3\nmax_surge = 1\nmaster_log_file = \"master.log\"\n", twoListeners)
			d.waitWorkers(3)
			d.verb(0, "upgrade", "--wait") // what it holds only after one is no leak
			d.settled(3)
			before, were := d.quietFiles(), d.filesAre()
			tr := d.load(2)
			lot := rand.New(rand.NewSource(seed))
			for range signals {
				d.signal(stormSignals[lot.Intn(len(stormSignals))])
				time.Sleep(time.Duration(lot.Intn(4)) * time.Millisecond) // a storm in which there is time for some of it
			}
			d.calm(3)
			t.Logf("generation %d after the storm", d.settled(3).Generation)
			d.get("/pid")
			d.ok("reload", d.hup)
			d.settled(3)
			tr.more(20)
			tr.endWhole()
			d.sameFiles(before, were)
			eventually(t, "three workers are left, no zombie", func() bool { all, zombies := d.children(); return all == 3 && zombies == 0 })
			d.noErrors("master.log")
		})
	}
}

// calm waits until what was asked for by signals is done, and sets the number of
// workers: a signal that was sent before a request may be heard after it.
func (s *server) calm(n int) {
	s.t.Helper()
	seldom(s.t, fmt.Sprintf("all is calm, with %d workers", n), func() bool {
		st := s.look()
		if st.WorkersWanted != n {
			s.tryScale(n)
			return false
		}
		return st.State == "running" && len(pids(st)) == n
	})
}

// tryScale does not mind a master that becomes another one.
func (s *server) tryScale(n int) {
	resp, err := s.controlClient().Post("http://control/scale", "application/json", strings.NewReader(fmt.Sprintf(`{"workers":%d}`, n)))
	if err == nil {
		resp.Body.Close()
	}
}
