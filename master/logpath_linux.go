package master

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mostLinks is how many symbolic links one path may have, as in the kernel
// (path_resolution(7)).
const mostLinks = 40

var errManyLinks = errors.New("too many symbolic links")

// openAs opens path like open(2), but follows a symbolic link, at any place of
// it, only if root or this user has made it. The folder of a log file often
// belongs to the app's user, and a worker can ask for a reopening at any time: a
// link to another file would have the master open that with its own rights and
// hand it to the worker.
func openAs(path string, flags int) (int, error) { return openChecked(path, flags, nil) }

// openChecked is openAs that shows check each folder on the way and the file at the
// end of it, if there is one. With a check it does not make a file.
func openChecked(path string, flags int, check func(path string, is *unix.Stat_t) error) (int, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return -1, err
	}
	w := &pathWalk{rest: strings.Split(path, "/"), dir: -1, check: check}
	defer w.leave()
	for range mostLinks {
		fd, link, err := w.walk(flags)
		if link == "" {
			return fd, err
		}
		w.rest = append(strings.Split(link, "/"), w.rest...)
		if filepath.IsAbs(link) {
			w.leave()
		}
	}
	return -1, errManyLinks
}

// pathWalk goes down a path, one name at a time, each looked up in the folder
// that was opened before it: nothing that was seen can be exchanged.
type pathWalk struct {
	dir   int // where it is; -1 is the root
	rest  []string
	at    string // for messages
	check func(path string, is *unix.Stat_t) error
}

func (w *pathWalk) leave() {
	if w.dir >= 0 {
		_ = unix.Close(w.dir)
	}
	w.dir, w.at = -1, ""
}

func (w *pathWalk) enter(fd int, name string) {
	at := filepath.Join(w.at, name)
	w.leave()
	w.dir, w.at = fd, at
}

// walk returns what it has opened at the end of the path, or the text of the
// link that is in the way.
func (w *pathWalk) walk(flags int) (fd int, link string, err error) {
	if w.dir < 0 {
		root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, "", err
		}
		w.enter(root, "/")
	}
	for len(w.rest) > 0 {
		name := w.rest[0]
		w.rest = w.rest[1:]
		if name == "" || name == "." {
			continue
		}
		last := len(w.rest) == 0
		if last && w.check == nil {
			fd, err := unix.Openat(w.dir, name, flags|unix.O_NOFOLLOW, logMode)
			if !errors.Is(err, unix.ELOOP) { // how O_NOFOLLOW refuses (open(2))
				return fd, "", err
			}
		}
		next, err := unix.Openat(w.dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, "", err
		}
		link, err := w.readLink(next, name)
		if errors.Is(err, errKernelLink) {
			_ = unix.Close(next)
			fd, err := w.follow(name, last, flags)
			if last && w.check == nil || err != nil {
				return fd, "", err
			}
			next, link = fd, ""
		} else if err != nil || link != "" {
			_ = unix.Close(next)
			return -1, link, err
		}
		if err := w.look(next, name); err != nil {
			_ = unix.Close(next)
			return -1, "", err
		}
		if last {
			return next, "", nil
		}
		w.enter(next, name)
	}
	return -1, "", unix.EISDIR
}

// look shows check what fd is.
func (w *pathWalk) look(fd int, name string) error {
	if w.check == nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	return w.check(filepath.Join(w.at, name), &st)
}

// follow opens what a link of the kernel leads to.
func (w *pathWalk) follow(name string, last bool, flags int) (int, error) {
	if !last {
		flags = unix.O_PATH | unix.O_CLOEXEC
	}
	return unix.Openat(w.dir, name, flags, logMode)
}

// errKernelLink: the link is one of proc(5), whose text need not be a path.
var errKernelLink = errors.New("a link of the kernel")

// readLink returns the text of a link, "" for anything else.
func (w *pathWalk) readLink(fd int, name string) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err == nil && fs.Type == unix.PROC_SUPER_MAGIC {
		return "", errKernelLink
	}
	if int(st.Uid) != 0 && int(st.Uid) != os.Geteuid() {
		return "", fmt.Errorf("%s is a symbolic link that another user (uid %d) has made; remove it, or make it root's",
			filepath.Join(w.at, name), st.Uid)
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	return string(buf[:max(n, 0)]), err
}
