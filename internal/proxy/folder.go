package proxy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	folderPrefix = "fugue-app-"
	socketName   = "app.sock"

	// maxSocket is what fits into sun_path with its closing NUL, on Linux and on
	// systems that have four bytes less.
	maxSocket = 103
	// longestName is what os.MkdirTemp adds to a prefix, and more.
	longestName = len(folderPrefix) + 12 + len("/"+socketName)
)

// folder holds the app's socket. Only this user can enter it.
//
// A worker that is killed cannot remove its folder. So each holds a lock on its
// own, which the kernel releases in any case, and a new worker removes those that
// nobody holds.
type folder struct {
	path string
	lock *os.File
}

var errTaken = errors.New("another process has it")

// newFolder makes a folder in parent, or where the system keeps temporary files
// if parent cannot be used: the worker's user may have no right to it, or its path
// be too long for a socket.
func newFolder(parent string) (*folder, error) {
	if len(parent)+longestName <= maxSocket {
		if f, err := folderIn(parent); err == nil {
			return f, nil
		}
	}
	return folderIn(os.TempDir())
}

func folderIn(parent string) (*folder, error) {
	sweep(parent)
	for {
		path, err := os.MkdirTemp(parent, folderPrefix+"*") // mode 0700
		if err != nil {
			return nil, fmt.Errorf("folder of the app's socket: %w", err)
		}
		lock, err := lockFolder(path)
		if errors.Is(err, errTaken) {
			continue // a sibling that sweeps was faster, and has removed it
		}
		if err != nil {
			return nil, fmt.Errorf("folder of the app's socket: %w", err)
		}
		return &folder{path, lock}, nil
	}
}

// sweep removes the folders of this user's workers that are no more.
func sweep(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, folderPrefix+"*"))
	for _, path := range left {
		if lock, err := lockFolder(path); err == nil {
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}

// lockFolder takes the lock of a folder that is this user's own.
func lockFolder(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, errTaken
	}
	if err != nil {
		return nil, err
	}
	lock := os.NewFile(uintptr(fd), path)
	if err := hold(lock); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}

func hold(lock *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(lock.Fd()), &st); err != nil {
		return err
	}
	if int(st.Uid) != os.Geteuid() {
		return errTaken
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errTaken
	}
	held, err := lock.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Stat(lock.Name()); err != nil || !os.SameFile(held, there) {
		return errTaken // its owner has removed it between the open and the lock
	}
	return nil
}

func (f *folder) socket() string { return filepath.Join(f.path, socketName) }

func (f *folder) remove() {
	_ = os.RemoveAll(f.path)
	_ = f.lock.Close()
}
