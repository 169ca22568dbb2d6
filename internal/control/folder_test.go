package control

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	if info.Mode() != want {
		t.Errorf("%s is %s, want %s", path, info.Mode(), want)
	}
}

func TestTheFolderIsMadePrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fugue-1")
	must(t, PrepareFolder(path))
	wantMode(t, path, fs.ModeDir|0o700)
	must(t, PrepareFolder(path)) // again
	must(t, CheckFolder(path))
}

func TestOurOwnFolderIsClosedToOthers(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o777, 0o750, 0o500} {
		path := filepath.Join(t.TempDir(), "fugue-1")
		must(t, os.Mkdir(path, 0o700))
		must(t, os.Chmod(path, mode))
		must(t, PrepareFolder(path))
		wantMode(t, path, fs.ModeDir|0o700)
	}
}

func TestWhatIsNoFolderOfOursIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link, file := filepath.Join(dir, "target"), filepath.Join(dir, "link"), filepath.Join(dir, "file")
	must(t, os.Mkdir(target, 0o755))
	must(t, os.Symlink(target, link))
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for path, want := range map[string]string{
		link:                           "is a symbolic link, not a folder",
		file:                           "is not a folder",
		filepath.Join(dir, "fifo"):     "is not a folder",
		filepath.Join(dir, "none/dir"): "make the folder of the control socket",
	} {
		wantText(t, PrepareFolder(path), want)
	}
	wantText(t, CheckFolder(link), "is a symbolic link")
	must(t, CheckFolder(filepath.Join(dir, "none")))
	wantMode(t, target, fs.ModeDir|0o755)
}

func TestTheFolderOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	as := nobody(t)
	path := filepath.Join(t.TempDir(), "fugue-0")
	must(t, os.Mkdir(path, 0o700))
	must(t, os.Chown(path, int(as.Uid), int(as.Gid)))
	wantText(t, PrepareFolder(path), "belongs to another user (uid 65534), and the control socket would not be safe in it")
	wantText(t, CheckFolder(path), "belongs to another user")
}
