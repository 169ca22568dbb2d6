package pidfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const nobody = 65534

// S14 of the fault list, as root and as a user.
func TestFoldersOpenToTheWorld(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	const refused = "anybody may replace files"
	for _, tc := range []struct {
		name         string
		owner, start int
		mode         fs.FileMode
		want         string
	}{
		{"root, world-writable", 0, 0, 0o777, refused},
		{"root, world-writable folder of a user", nobody, 0, 0o777, refused},
		{"root, sticky", 0, 0, 0o777 | fs.ModeSticky, "held"},
		{"root, writable by its group", 0, 0, 0o775, "held"},
		{"user, own folder", nobody, nobody, 0o777, "held"},
		{"user, world-writable folder of root", 0, nobody, 0o777, refused},
		{"user, sticky folder of root", 0, nobody, 0o777 | fs.ModeSticky, "held"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := openFolder(t)
			must(t, os.Chown(dir, tc.owner, tc.owner))
			must(t, os.Chmod(dir, tc.mode))
			id := uint32(tc.start)
			_, said := startHolder(t, filepath.Join(dir, "pid"), &syscall.Credential{Uid: id, Gid: id})
			if !strings.Contains(said, tc.want) {
				t.Errorf("got %q, want %q", said, tc.want)
			}
		})
	}
}

// A user plants a link to a file of root in /tmp; root must not touch it.
func TestALinkPlantedInAStickyFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to give the link to another user")
	}
	dir := openFolder(t)
	must(t, os.Chmod(dir, 0o777|fs.ModeSticky))
	victim, path := filepath.Join(t.TempDir(), "victim"), filepath.Join(dir, "pid")
	write(t, victim, "123\n")
	must(t, os.Symlink(victim, path))
	must(t, os.Lchown(path, nobody, nobody))
	wantRefusal(t, path, "symbolic link")
	wantContent(t, victim, "123\n")
}

// openFolder is a folder that other users can reach, unlike t.TempDir.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "f")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
