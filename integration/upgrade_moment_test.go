package integration

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// moments of an upgrade, by the lines that tell of them.
var moments = []string{"upgrade begins", "the new program can take over", "executing the new program", "took over", "generation in force"}

// The master is killed at each moment of an upgrade: its workers leave, the one
// that serves a request when it has answered (F33).
func TestKillAtEachMoment(t *testing.T) {
	t.Parallel()
	long(t)
	for _, moment := range moments {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 2\n", "")
			d.noCrash()
			answer := d.ask("/slow?for=2s")
			d.inFlight(1)
			d.put(d.master, d.masters[1])
			d.usr2()
			d.log.wait(t, moment, d.exited)
			d.signal(syscall.SIGKILL)
			if err := <-answer; err != nil {
				t.Errorf("the request that was under way: %v", err)
			}
			seldom(t, "nobody runs from the folder", func() bool { return len(runFrom(t, d.dir)) == 0 })
		})
	}
}

// Signals that come while one program gives way to the other, when nobody may be
// there to catch them, end nothing and stop nothing (F55).
func TestSignalsAmidExec(t *testing.T) {
	t.Parallel()
	long(t)
	d := deploy(t, "workers = 2\n", "")
	d.noCrash()
	d.waitWorkers(2)
	tr := d.load(4)
	all := slices.DeleteFunc(slices.Clone(stormSignals), func(s syscall.Signal) bool { return s == syscall.SIGWINCH })
	for i := range full(50, 3) {
		executed := d.log.count("executing the new program")
		d.put(d.master, d.masters[(i+1)%2])
		d.usr2()
		d.log.waitN(t, "executing the new program", executed+1, d.exited)
		var storm sync.WaitGroup
		storm.Go(func() {
			for k := 0; d.log.count("msg=\"took over\"") <= executed && k < 20_000; k++ {
				d.signal(all[k%len(all)])
				time.Sleep(100 * time.Microsecond) // leaves it the time to run
			}
		})
		storm.Wait()
		d.log.waitN(t, "msg=\"took over\"", executed+1, d.exited)
		d.calm(2)
		seldom(t, "the last upgrade is done", func() bool {
			st := d.look()
			return st.State == "running" && st.LastReload != nil && st.LastReload.Result == "ok" && (st.Version == secondMaster) == (i%2 == 0)
		})
		d.settled(2)
		if got := statusField(t, d.pid, "State"); got[0] == 'T' {
			t.Fatalf("the master is %s", got)
		}
	}
	t.Log(fmt.Sprint(d.log.count("msg=\"took over\""), " upgrades"))
	tr.more(10)
	tr.endWhole()
}
