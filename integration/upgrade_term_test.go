package integration

import (
	"syscall"
	"testing"
)

// TERM at each moment of an upgrade ends the server in order (F54).
func TestTermAtEachMoment(t *testing.T) {
	t.Parallel()
	for _, moment := range moments {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 2\nmaster_pid_path = \"master.pid\"\n", "")
			d.noCrash()
			d.put(d.master, d.masters[1])
			d.usr2()
			d.log.wait(t, moment, d.exited)
			d.signal(syscall.SIGTERM)
			d.endsByTerm()
			seldom(t, "nobody runs from the folder", func() bool { return len(runFrom(t, d.dir)) == 0 })
		})
	}
}
