package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A daemon can be upgraded, from wherever it was started.
func TestUpgradeOfADaemon(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 2\nmaster_pid_path = \"app.pid\"\nmaster_log_file = \"master.log\"\n", "")
	cmd := exec.Command("./"+filepath.Base(d.master), "-c", "unicorn.toml", "-D") // relative: the daemon itself is in /
	cmd.Dir = d.dir
	d.server = launchCommand(t, d.dir, cmd)
	d.becomesDaemon(filepath.Join(d.dir, "app.pid"))
	tr := d.load(4)
	d.put(d.master, d.masters[1])
	d.put(d.app, d.apps[1])
	d.ok("reload", d.hup)
	d.upgraded(0)
	d.answersWith(secondApp)
	d.ok("upgrade", d.usr2)
	d.settled(2)
	d.upgraded(1)
	tr.endWhole()
	if tty := statField(t, d.pid, 7); tty != "0" {
		t.Errorf("the terminal is %s", tty)
	}
	d.verb(0, "stop")
	if _, err := os.Lstat(filepath.Join(d.dir, "app.pid")); !os.IsNotExist(err) {
		t.Errorf("the pid file is left (%v)", err)
	}
}
