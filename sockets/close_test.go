package sockets

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// F47: somebody removes the file of a running server, and somebody else takes
// the path. Neither is harmed by the end of the first.
func TestCloseLeavesTheSocketOfAnotherAlone(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	first := listen(t, "unix:"+path, once)
	must(t, os.Remove(path))
	if first.Reachable() {
		t.Error("reachable without a file")
	}
	second := listen(t, "unix:"+path, once)
	if first.Reachable() {
		t.Error("reachable by the file of another")
	}
	must(t, first.Close())
	dial(t, second)
}

// The file is taken over while the lock is waited for.
func TestUnlinkLooksAgainOnceItHasTheLock(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	l := listen(t, "unix:"+path, once)
	lock, err := lockFolder(filepath.Dir(path), time.Sleep)
	must(t, err)
	must(t, l.unlink(afterwards(func() {
		must(t, os.Remove(path))
		stale(t, path)
		unix.Close(lock)
	})))
	lstat(t, path)
}

func TestCloseLeavesAFileInItsPlaceAlone(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	l := listen(t, "unix:"+path, once)
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, l.Close())
	lstat(t, path)
}

func TestCloseAfterTheFolderWasRemoved(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	l := listen(t, "unix:"+path, once)
	must(t, os.RemoveAll(filepath.Dir(path)))
	must(t, l.Close())
}
