package master

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// logMode is what a log file is made with, whatever the umask of the launcher:
// lines and stacks may hold what only the owner and his group should read.
const logMode = 0o640

// openLog opens path for appending and says whether it is a FIFO. O_APPEND
// makes lines of many writers and copytruncate safe; O_NOCTTY keeps a terminal
// from becoming ours. It never waits: a FIFO that nobody reads is opened for
// both directions (fifo(7)), and stays non-blocking.
func openLog(path string) (fd int, fifo bool, err error) {
	const flags = unix.O_APPEND | unix.O_CREAT | unix.O_NOCTTY | unix.O_CLOEXEC | unix.O_NONBLOCK
	fd, err = openAs(path, flags|unix.O_WRONLY)
	if errors.Is(err, unix.ENXIO) {
		fd, err = openAs(path, flags|unix.O_RDWR)
	}
	if err != nil {
		return -1, false, openError(path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return -1, false, openError(path, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFIFO {
		return fd, true, nil
	}
	return fd, false, unix.SetNonblock(fd, false)
}

func openError(path string, err error) error {
	if errors.Is(err, unix.ENOENT) {
		if _, bad := os.Stat(filepath.Dir(path)); bad != nil {
			return fmt.Errorf("open log file %s: its folder does not exist; make it", path)
		}
	}
	return fmt.Errorf("open log file %s: %w", path, err)
}

// standardLog returns the inherited descriptor that a path such as /dev/stdout
// stands for, -1 for others. Opening it would fail for sockets and would start
// a redirected file anew without O_APPEND's promise.
func standardLog(path string, stdout, stderr int) int {
	switch path {
	case "/dev/stdout", "/proc/self/fd/1", "/dev/fd/1":
		return stdout
	case "/dev/stderr", "/proc/self/fd/2", "/dev/fd/2":
		return stderr
	}
	return -1
}
