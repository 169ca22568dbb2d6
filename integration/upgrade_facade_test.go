package integration

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fugue-http/fugue"
)

// A Go program that is its own master: HUP brings workers of the build that is
// at its path now, USR2 the master, too.
func TestUpgradeOfAFacadeProgram(t *testing.T) {
	t.Parallel()
	two, err := second()
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	d := &deployment{server: &server{t: t, dir: dir}, app: filepath.Join(dir, "server"), apps: [2]string{programs.facade, two.facade}}
	d.put(d.app, d.apps[0])
	d.server = launchCommand(t, dir, facadeCommand(t, d.app, dir))
	d.waitReady()
	first := d.waitWorkers(2)
	d.answersWith(firstApp)
	tr := d.loadOf(16, "/version")

	d.put(d.app, d.apps[1])
	d.ok("reload", d.hup)
	st := d.settled(2)
	d.answersWith(secondApp)
	if st.Version != first.Version || st.PID != d.pid {
		t.Errorf("HUP has made a master of %s, process %d", st.Version, st.PID)
	}
	d.ok("upgrade", d.usr2)
	st = d.settled(2)
	d.answersWith(secondApp)
	if st.Version != secondMaster || st.PID != d.pid || st.Generation != first.Generation+2 {
		t.Errorf("USR2 has made a master of %s, process %d, generation %d", st.Version, st.PID, st.Generation)
	}
	d.put(d.app, d.apps[0])
	d.verb(0, "upgrade", "--wait")
	d.settled(2)
	d.answersWith(firstApp)
	if st := d.status(); st.Version != first.Version {
		t.Errorf("a second upgrade has made a master of %s", st.Version)
	}
	tr.endWhole()
}

// A program that has become worthless is not let in.
func TestUpgradeOfAFacadeProgramToABrokenOne(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	d := &deployment{server: &server{t: t, dir: dir}, app: filepath.Join(dir, "server")}
	d.put(d.app, programs.facade)
	d.server = launchCommand(t, dir, facadeCommand(t, d.app, dir))
	d.noCrash()
	d.waitReady()
	before := d.waitWorkers(2)
	d.script(d.app, "#!/bin/sh\nexit 1\n", 0o755)
	d.failed("upgrade", d.usr2)
	d.unchanged(before)
	d.failed("reload", d.hup)
	d.unchanged(before)
	d.get("/pid")
}

func facadeCommand(t testing.TB, program, dir string) *exec.Cmd {
	t.Helper()
	opts := fugue.Options{Workers: 2, Listen: []string{"127.0.0.1:0"}, ControlPath: filepath.Join(dir, "control.sock"),
		WorkerKillTimeout: 10 * time.Second}
	text, err := json.Marshal(struct {
		fugue.Options
		Started any `json:",omitempty"` // a func has no JSON
	}{Options: opts})
	if err != nil {
		t.Fatal(err)
	}
	cmd := withEnv(program, nil, "OPTIONS="+string(text))
	cmd.Dir = dir
	return cmd
}
