package pidfile

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Inherit takes over descriptor fd of the pid file at path (as [File.Path] told
// it), which the process has kept while it executed another program in its
// place: the lock belongs to the open file description and lives on, and the pid
// is the same. It sets close-on-exec. A descriptor that is refused is left alone,
// as it is somebody else's.
func Inherit(path string, fd int) (*File, error) {
	if err := checkInherited(fd); err != nil {
		return nil, fmt.Errorf("pid file %s: descriptor %d %w", path, fd, err)
	}
	unix.CloseOnExec(fd)
	return &File{path: path, file: os.NewFile(uintptr(fd), path)}, nil
}

// checkInherited asks by number: an os.File would close fd when it is collected.
func checkInherited(fd int) error {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	switch {
	case errors.Is(err, unix.EBADF):
		return errors.New("is not open")
	case err != nil:
		return fmt.Errorf("cannot be looked at: %w", err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("is not a regular file")
	}
	// Through the description that holds the lock this changes nothing; through
	// any other it fails as long as the lock is held.
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return errors.New("does not hold the lock, another does")
	case err != nil:
		return fmt.Errorf("cannot be locked (flock): %w", err)
	}
	return nil
}
