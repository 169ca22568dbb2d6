package master

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/handover"
)

// openImage opens the program that is to take this one's place. As root, with whose
// rights it will run, it refuses one that somebody else could put there: by the file
// itself, or by any folder or link that leads to it. What is open then is what is
// tried, and what is executed; only a script is run by its name, which nobody else
// can change.
func openImage(path string) (handover.Program, error) {
	named := handover.Named(path)
	open := openForExec
	if os.Geteuid() == 0 {
		open = func(path string) (int, error) { return openChecked(path, unix.O_PATH|unix.O_CLOEXEC, onlyRoots) }
	}
	low, err := open(path)
	if err != nil {
		return named, fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(low)
	fd, err := unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, handover.LowestFD)
	if err != nil {
		return named, fmt.Errorf("%s: %w", path, err)
	}
	if !isBinary(fmt.Sprintf("/proc/self/fd/%d", fd)) {
		_ = unix.Close(fd)
		return named, nil
	}
	return handover.Program{Path: path, FD: fd}, nil
}

// isBinary also says no to what cannot be read; the start will tell.
func isBinary(path string) bool {
	fd, err := openBinary(path)
	if err != nil {
		return false
	}
	_ = unix.Close(fd)
	return true
}

// onlyRoots refuses what others than root can change. In a folder with the sticky bit
// they can add files, but not replace those of root.
func onlyRoots(path string, is *unix.Stat_t) error {
	sticky := is.Mode&unix.S_IFMT == unix.S_IFDIR && is.Mode&unix.S_ISVTX != 0
	switch {
	case is.Uid != 0:
		return fmt.Errorf("%s belongs to user %d: root runs only what root owns; chown it", path, is.Uid)
	case is.Mode&0o002 != 0 && !sticky, is.Mode&0o020 != 0 && is.Gid != 0 && !sticky:
		return fmt.Errorf("%s can be written by others than root: chmod go-w", path)
	}
	return nil
}
