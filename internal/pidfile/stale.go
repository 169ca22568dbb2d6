package pidfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockStale opens and locks a pid file whose owner is gone. It returns nil if
// there is no file, and an error if what is there has an owner or is no pid
// file: the path may be a slip of the pen, and the file precious.
func lockStale(path string) (*os.File, error) {
	f, err := openPlain(path)
	if f == nil {
		return nil, err
	}
	if err = lockOrHeld(f, path); err == nil {
		_, err = readPID(f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openPlain opens path if it is a regular file. It follows no link, and
// O_NONBLOCK keeps it from waiting for the other end of a FIFO.
func openPlain(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, unix.ELOOP): // how O_NOFOLLOW refuses (open(2))
		return nil, errors.New("is a symbolic link; remove it or choose another path")
	case errors.Is(err, unix.ENXIO): // a socket
		return nil, errNotPlain
	case err != nil:
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, errNotPlain)
	}
	return f, nil
}

var errNotPlain = errors.New("exists and is not a regular file; remove it or choose another path")

// lockOrHeld locks f, which must still be at path then: its former owner may
// have removed it, or another starter replaced it, after it was opened.
func lockOrHeld(f *os.File, path string) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	held := errors.Is(err, unix.EWOULDBLOCK)
	if err != nil && !held {
		return fmt.Errorf("lock (flock): %w", err)
	}
	here, err := isAt(f, path)
	switch {
	case err != nil:
		return err
	case !here:
		return errMoved
	case held:
		pid, _ := readPID(f)
		return &HeldError{Path: path, PID: pid}
	}
	return nil
}

// maxLength is ample for a number and a newline.
const maxLength = 20

// readPID returns the number in f, 0 if f is empty: a writer that was less
// careful than we are died in between.
func readPID(f *os.File) (int, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxLength+1))
	if err != nil {
		return 0, err
	}
	digits := strings.TrimSuffix(string(text), "\n")
	if len(text) == 0 {
		return 0, nil
	}
	if n, err := strconv.ParseUint(digits, 10, 63); err == nil && len(text) <= maxLength {
		return int(n), nil
	}
	return 0, errors.New("does not look like a pid file; remove it if it is not needed")
}
