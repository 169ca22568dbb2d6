package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// releases are folders with an app each, and a link to the one in force, as many
// deploys have them.
func (d *deployment) releases() (link string) {
	d.t.Helper()
	for i, from := range d.apps {
		dir := filepath.Join(d.dir, fmt.Sprint("release", i+1))
		if err := os.Mkdir(dir, 0o755); err != nil {
			d.t.Fatal(err)
		}
		d.put(filepath.Join(dir, "app"), from)
	}
	link = filepath.Join(d.dir, "current")
	d.point(link, "release1")
	return link
}

// point has the link lead elsewhere, in one step.
func (d *deployment) point(link, to string) {
	d.t.Helper()
	if err := os.Symlink(to, link+".new"); err != nil {
		d.t.Fatal(err)
	}
	d.rename(link+".new", link)
}

// A deploy that lets a link lead to another folder and removes the old one: HUP
// follows the link; until then workers come back from the app that has no file any
// more; the master holds on to no folder (F75).
func TestReloadFollowsALink(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 2\nworking_path = \"current\"\n", "")
	link := d.releases()
	d.edit(d.app, filepath.Join(link, "app"))
	d.run()
	d.unclean = true // a worker is killed
	workers := pids(d.waitWorkers(2))
	if me := d.self(); me.Dir != filepath.Join(d.dir, "release1") {
		t.Errorf("a worker is in %s", me.Dir)
	}
	d.point(link, "release2")
	d.ok("reload", d.hup)
	st := d.settled(2)
	d.answersWith(secondApp)
	if me := d.self(); me.Dir != filepath.Join(d.dir, "release2") {
		t.Errorf("after the reload a worker is in %s", me.Dir)
	}
	if err := os.RemoveAll(filepath.Join(d.dir, "release1")); err != nil {
		t.Fatal(err)
	}
	if cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", d.pid)); strings.HasPrefix(cwd, d.dir+"/release") {
		t.Errorf("the master is in %s", cwd)
	}
	for slot, pid := range pids(st) {
		if workers[slot] == pid {
			t.Errorf("worker %d was not replaced", slot)
		}
	}
	kill(t, pids(st)[1], syscall.SIGKILL)
	d.reachVersion(d.replaced(1, pids(st)[1]), secondApp)
	d.ok("reload", d.hup)
}
