package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The folder of tmp_path may be full and may allow no program: an upgrade needs
// neither (F76).
func TestUpgradeWithAFullTmpPath(t *testing.T) {
	t.Parallel()
	rootFor(t, "unshare --mount")
	unshare := needProgram(t, "unshare")
	if out, err := exec.Command(unshare, "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("no mount namespace can be made here: %s", out)
	}
	d := prepare(t, "workers = 2\n", "")
	tmp := filepath.Join(d.dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	d.edit("tmp_path = \".\"", "tmp_path = \"tmp\"")
	d.server = launchCommand(t, d.dir, exec.Command(unshare, "--mount", "/bin/sh", "-c",
		`mount -t tmpfs -o noexec,size=64k none "$0" || exit 77; export TMPDIR="$0"; exec "$@"`, tmp, d.master, "-c", d.file))
	d.waitReady()
	fill(t, fmt.Sprintf("/proc/%d/root%s/full", d.pid, tmp))
	tr := d.load(4)
	d.put(d.master, d.masters[1])
	d.put(d.app, d.apps[1])
	d.verb(0, "upgrade", "--wait")
	d.settled(2)
	d.upgraded(1)
	d.ok("reload", d.hup)
	d.answersWith(secondApp)
	tr.endWhole()
}

// fill writes until there is no room.
func fill(t testing.TB, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n := 0; ; n++ {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return
		}
		if n > 1000 {
			t.Fatal("the folder does not get full")
		}
	}
}
