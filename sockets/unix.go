package sockets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxPath is what fits into sun_path with its final NUL (unix(7)): 107 bytes on
// Linux, 103 on darwin.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

func checkPath(path string) error {
	switch {
	case path == "" || path == "@":
		return errors.New("has no path; write unix:/path or unix:@name")
	case strings.ContainsRune(path, 0):
		return errors.New("a path cannot contain a NUL byte")
	}
	return nil
}

func openUnix(path string, opt Options) (*Listener, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if path[0] == '@' {
		return openAbstract(path, opt)
	}
	path, err := filepath.Abs(path) // Close may come after a change of folder
	if err != nil {
		return nil, err
	}
	if len(path) > maxPath {
		return nil, fmt.Errorf("the path has %d bytes, the system allows %d", len(path), maxPath)
	}
	return openPath(path, opt)
}

// openPath holds the folder's lock from the first look at path until the socket
// listens: a socket that is bound but does not listen yet looks stale, and of
// many starters at once exactly one may replace a stale one.
func openPath(path string, opt Options) (*Listener, error) {
	folder, err := lockFolder(filepath.Dir(path), opt.sleep)
	if err != nil {
		return nil, err
	}
	defer unix.Close(folder)
	if err := vacate(path); err != nil {
		return nil, err
	}
	fd, err := newSocket(unix.AF_UNIX, 0)
	if err != nil {
		return nil, err
	}
	l := &Listener{fd: fd, network: "unix", address: "unix:" + path, path: path}
	if err := l.bindPath(opt); err != nil {
		l.discard()
		return nil, err
	}
	return l, nil
}

// bindPath makes the socket's file. Owner and mode are right before listen,
// that is, before anybody can connect.
func (l *Listener) bindPath(opt Options) (err error) {
	if err := narrow(l.fd); err != nil {
		return fmt.Errorf("chmod the socket: %w", err)
	}
	if err := unix.Bind(l.fd, &unix.SockaddrUnix{Name: l.path}); err != nil {
		return explainUnix(err)
	}
	if l.made, err = dress(l.path, opt, inode{}); err != nil {
		return err
	}
	return unix.Listen(l.fd, opt.Backlog)
}

// discard undoes a bindPath that failed half-way. The caller holds the lock.
func (l *Listener) discard() {
	if l.made != (inode{}) && l.isOurs() {
		os.Remove(l.path)
	}
	unix.Close(l.fd)
}

// openAbstract binds a name without a file (unix(7), Linux only). It vanishes
// with its last descriptor, so there is nothing stale to replace.
func openAbstract(name string, opt Options) (*Listener, error) {
	if !abstractNames {
		return nil, errors.New("abstract names exist on Linux only")
	}
	if len(name) > maxPath {
		return nil, fmt.Errorf("the name has %d bytes, the system allows %d", len(name)-1, maxPath-1)
	}
	fd, err := newSocket(unix.AF_UNIX, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: name})
	if err == nil {
		err = unix.Listen(fd, opt.Backlog)
	}
	if err != nil {
		unix.Close(fd)
		return nil, explainUnix(err)
	}
	return &Listener{fd: fd, network: "unix", address: "unix:" + name}, nil
}

func explainUnix(err error) error {
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("%w: another process listens there", err)
	}
	return err
}

// How long another starter in the same folder is waited for: it needs
// milliseconds, and only its own death or ours can keep it longer.
const (
	lockPatience = time.Second
	lockEvery    = 5 * time.Millisecond
)

// lockFolder locks a folder by flock(2) of the folder itself, which leaves no
// file behind and ends with the descriptor that is returned.
func lockFolder(path string, sleep func(time.Duration)) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return -1, fmt.Errorf("the folder %s does not exist", path)
	case err != nil:
		return -1, fmt.Errorf("open the folder %s: %w", path, err)
	}
	for left := lockPatience; ; left -= lockEvery {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || left <= 0 {
			break
		}
		sleep(lockEvery)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("lock the folder %s (flock): %w", path, err)
	}
	return fd, nil
}

// vacate makes room at path if all there is is a socket that nobody listens on.
// Anything else stays and is an error. The caller holds the folder's lock.
func vacate(path string) error {
	found, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !isSocket(found):
		return fmt.Errorf("%s exists and is not a socket but %s", path, kind(found))
	}
	live, err := Probe(path)
	switch {
	case err != nil:
		return fmt.Errorf("is %s in use? %w", path, err)
	case live:
		return explainUnix(unix.EADDRINUSE)
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(now, found) {
		return explainUnix(unix.EADDRINUSE) // a starter that knows no lock came first
	}
	return os.Remove(path)
}

// Probe reports whether a process listens on the unix socket path. False and no
// error: the socket is stale, or there is none. It never waits, but a live
// server will see a connection that ends at once.
func Probe(path string) (live bool, err error) {
	fd, err := newSocket(unix.AF_UNIX, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	switch {
	case err == nil, isOneOf(err, unix.EAGAIN, unix.EINPROGRESS): // its queue is full
		return true, nil
	case errors.Is(err, unix.EPROTOTYPE): // it is of another type, say a datagram socket
		return true, nil
	case isOneOf(err, unix.ECONNREFUSED, unix.ENOENT):
		return false, nil
	}
	return false, fmt.Errorf("connect to %s: %w", path, err)
}

// expect returns which file was found at path: a socket, and the one that is
// known unless known is zero.
func expect(found fs.FileInfo, path string, known inode) (inode, error) {
	is := inodeOf(found)
	switch {
	case !isSocket(found):
		return inode{}, fmt.Errorf("%s was replaced by %s", path, kind(found))
	case known != (inode{}) && known != is:
		return inode{}, fmt.Errorf("%s was replaced by another socket", path)
	}
	return is, nil
}

func isSocket(info fs.FileInfo) bool { return info.Mode().Type() == fs.ModeSocket }

// kind says in words what a file is.
func kind(info fs.FileInfo) string {
	switch info.Mode().Type() {
	case 0:
		return "a file"
	case fs.ModeDir:
		return "a folder"
	case fs.ModeSymlink:
		return "a symbolic link"
	case fs.ModeNamedPipe:
		return "a FIFO"
	case fs.ModeSocket:
		return "a socket"
	}
	return "a device"
}
