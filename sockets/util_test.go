package sockets

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds how long a test waits for what must happen.
const patience = 10 * time.Second

// once listens without waiting for an address in use.
var once = Options{Patience: -1, Owner: -1, Group: -1}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen opens address and closes it with the test, unless the test did.
func listen(t *testing.T, address string, opt Options) *Listener {
	t.Helper()
	addr, err := ParseAddress(address)
	must(t, err)
	l, err := Listen(addr, opt)
	must(t, err)
	t.Cleanup(func() {
		if l.FD() >= 0 {
			l.Close()
		}
	})
	return l
}

// refused fails unless listening on address fails with all of want.
func refused(t *testing.T, address string, opt Options, want ...string) error {
	t.Helper()
	addr, err := ParseAddress(address)
	must(t, err)
	l, err := Listen(addr, opt)
	if err == nil {
		l.Close()
		t.Fatalf("listens on %s, want an error with %q", address, want)
	}
	for _, words := range append(want, "listen on "+address+": ") {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("got %q, want %q in it", err, words)
		}
	}
	return err
}

// dial connects to l.
func dial(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	network, address := "tcp", l.Address()
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	c, err := net.DialTimeout(network, address, patience)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// accept waits for a connection to l and returns its descriptor.
func accept(t *testing.T, l *Listener) int {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(l.FD()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(patience.Milliseconds()))
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Poll(fds, int(patience.Milliseconds()))
	}
	if err != nil || n != 1 {
		t.Fatalf("poll: %d, %v", n, err)
	}
	fd, _, err := unix.Accept(l.FD())
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// folder returns a folder whose path is short enough for a socket's.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "f")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func socketPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(folder(t), "s")
}

// stale leaves a socket at path that nobody listens on.
func stale(t *testing.T, path string) {
	t.Helper()
	unix.Close(bound(t, path, unix.SOCK_STREAM))
}

// bound returns a socket of a stranger, bound to path.
func bound(t *testing.T, path string, kind int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, kind, 0)
	must(t, err)
	unix.CloseOnExec(fd)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	return fd
}

func lstat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	return info
}

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", path, err)
	}
}

// wantFlags fails unless fd is as a listener's descriptor has to be.
func wantFlags(t *testing.T, fd int) {
	t.Helper()
	if ok, err := Nonblocking(fd); !ok {
		t.Errorf("descriptor %d: O_NONBLOCK is not set (%v)", fd, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor %d: close-on-exec is not set (%v)", fd, err)
	}
}
