package pidfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRemoveLeavesAStrangersFileAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	f := acquired(t, path, 77)
	must(t, os.Remove(path))
	write(t, path, "123\n")
	if err := f.Remove(); err != nil {
		t.Errorf("remove: %v", err)
	}
	wantContent(t, path, "123\n")
}

func TestRemoveAfterTheFileWasDeleted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	f := acquired(t, path, 77)
	must(t, os.Remove(path))
	if err := f.Remove(); err != nil {
		t.Errorf("remove: %v", err)
	}
}

func TestRemoveTwiceDoesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	f := acquired(t, path, 77)
	must(t, f.Remove())
	acquired(t, path, 78)
	must(t, f.Remove())
	wantContent(t, path, "78\n")
}

func TestADeletedFileCanBeAcquiredByAnother(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	first := acquired(t, path, 77)
	must(t, os.Remove(path))
	acquired(t, path, 78)
	must(t, first.Remove())
	wantContent(t, path, "78\n")
}

func acquired(t *testing.T, path string, pid int) *File {
	t.Helper()
	f, err := Acquire(path, pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Remove() })
	return f
}
