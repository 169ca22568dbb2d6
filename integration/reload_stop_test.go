package integration

import (
	"os/exec"
	"testing"
)

// `stop` waits as long as the server may take, its shutdown_delay included.
func TestStopWaitsForTheShutdownDelay(t *testing.T) {
	t.Parallel()
	long(t)
	d := deploy(t, "workers = 1\nworker_kill_timeout = \"1s\"\nshutdown_delay = \"7s\"\n", "")
	if out, err := exec.Command(d.master, "stop", "-c", d.file).CombinedOutput(); err != nil {
		t.Errorf("stop: %v: %s", err, out)
	}
	d.ends(0)
}
