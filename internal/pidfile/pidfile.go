package pidfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// HeldError says that a living process holds the pid file.
type HeldError struct {
	Path string
	PID  int // as written in the file; 0 if it holds no number
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("pid file %s: held by another process", e.Path)
	}
	return fmt.Sprintf("pid file %s: held by process %d", e.Path, e.PID)
}

// File is a pid file that this process holds.
type File struct {
	path string
	file *os.File // open for the sake of its lock; nil once removed
}

// errMoved: the path led elsewhere before the file was ours. Look again.
var errMoved = errors.New("is being replaced again and again")

// maxTries is far more than a crowd of starters needs: each of the steps that
// fail with errMoved is another starter's success.
const maxTries = 100

// Acquire makes path a file that holds pid and is locked by this process. It
// replaces a stale file and returns a [*HeldError] if path belongs to a living
// process. It never waits.
func Acquire(path string, pid int) (*File, error) {
	path, err := filepath.Abs(path) // Remove may come after a change of folder
	if err != nil {
		return nil, fmt.Errorf("pid file %s: %w", path, err)
	}
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("pid file %s: %w", path, err)
	}
	f, err := acquire(path, pid)
	if held := (*HeldError)(nil); err != nil && !errors.As(err, &held) {
		err = fmt.Errorf("pid file %s: %w", path, err)
	}
	return f, err
}

func acquire(path string, pid int) (f *File, err error) {
	for range maxTries {
		stale, err := lockStale(path)
		switch {
		case errors.Is(err, errMoved):
			continue
		case err != nil:
			return nil, err
		}
		f, err = put(path, pid, stale)
		if !errors.Is(err, errMoved) {
			return f, err
		}
	}
	return nil, errMoved
}

// put brings a new file to path. While stale is locked nobody else takes its
// place; where there was no file, link(2) lets the first one win.
func put(path string, pid int, stale *os.File) (*File, error) {
	if stale != nil {
		defer stale.Close()
	}
	fresh, err := create(path, pid)
	if err != nil {
		return nil, err
	}
	if stale != nil {
		err = os.Rename(fresh.Name(), path)
	} else {
		err = os.Link(fresh.Name(), path)
	}
	if err != nil || stale == nil {
		os.Remove(fresh.Name())
	}
	if err != nil {
		fresh.Close()
		return nil, movedIfExists(err)
	}
	return &File{path: path, file: fresh}, nil
}

func movedIfExists(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return errMoved
	}
	return err
}

// create writes a locked file of a name of its own into the folder of path, so
// that nobody ever sees path without a pid or without a lock.
func create(path string, pid int) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	if err := fill(f, pid); err != nil {
		os.Remove(f.Name())
		f.Close()
		return nil, err
	}
	return f, nil
}

func fill(f *os.File, pid int) error {
	if err := f.Chmod(0o644); err != nil { // whatever the umask: scripts of others read it
		return err
	}
	if _, err := fmt.Fprintln(f, pid); err != nil {
		return err
	}
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// Path returns where the file is, as an absolute path.
func (f *File) Path() string { return f.path }

// FD returns the descriptor that holds the lock, close-on-exec; for [Inherit] it
// has to be without when another program is executed.
func (f *File) FD() int { return int(f.file.Fd()) }

// Remove removes the file, if it still is the one that Acquire made or Inherit
// was given, and lets
// go of the lock. In this order: as long as the lock is held, no other starter
// puts a file of its own there.
func (f *File) Remove() error {
	if f.file == nil {
		return nil
	}
	file := f.file
	f.file = nil
	defer file.Close()
	ours, err := isAt(file, f.path)
	if err != nil || !ours {
		return err
	}
	return os.Remove(f.path)
}

// isAt reports whether path, not followed, is the open file f.
func isAt(f *os.File, path string) (bool, error) {
	open, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(open, there), err
}
