package sockets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options say how an address is listened on. The zero value is right for TCP;
// for a unix socket Owner and Group have to be set, to -1 if to be left alone.
type Options struct {
	Name        string // by which workers find the listener (LISTEN_FDNAMES)
	Backlog     int    // connections that may wait in the kernel, which caps it at net.core.somaxconn; 0 = 1024
	DeferAccept bool   // TCP, Linux: hand a connection on only when its first bytes are there
	V6Only      bool   // TCP: an IPv6 wildcard leaves IPv4 alone, for another listener on the same port
	ReusePort   bool   // TCP: other sockets may share the address, see Grow

	Mode         fs.FileMode // unix: permissions of the socket's file; 0 = 0600
	Owner, Group int         // unix: owner of the socket's file; -1 = leave

	// Patience is how long an address in use is waited for: the orphaned
	// workers of a killed master let go of theirs within a second.
	// 0 = 2s, negative = not at all.
	Patience time.Duration

	sleep func(time.Duration) // time.Sleep, except in tests
}

const retryEvery = 100 * time.Millisecond

func (o Options) withDefaults() Options {
	if o.Backlog <= 0 {
		o.Backlog = 1024
	}
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	if o.Patience == 0 {
		o.Patience = 2 * time.Second
	}
	if o.sleep == nil {
		o.sleep = time.Sleep
	}
	return o
}

// Listener is a listening stream socket. Its methods may be called from any
// goroutine; after Close only Address, Name and Queue are of use. FD is for the
// goroutine that closes.
type Listener struct {
	network string // "tcp" or "unix"
	address string
	adopted bool

	path string // of the unix socket this process made, else empty
	made inode  // what it made there

	mu      sync.Mutex // guards all below, and keeps fd open while it is asked or told something
	fd      int
	name    string
	backlog int // as asked for; 0 = not known
	grouped bool
	more    []int // of a group: its sockets beside fd
}

// Listen opens addr. It waits for up to [Options.Patience] if addr is in use;
// the error then wraps [unix.EADDRINUSE].
func Listen(addr Address, opt Options) (*Listener, error) {
	opt = opt.withDefaults()
	l, err := open(addr, opt)
	for left := opt.Patience; errors.Is(err, unix.EADDRINUSE) && left > 0; left -= retryEvery {
		opt.sleep(retryEvery)
		l, err = open(addr, opt)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	l.name, l.backlog = opt.Name, opt.Backlog
	return l, nil
}

func open(addr Address, opt Options) (*Listener, error) {
	switch addr.Network {
	case "tcp":
		return openTCP(addr, opt)
	case "unix":
		return openUnix(addr.Path, opt)
	case "systemd":
		return nil, errors.New("no socket of that name was handed over by systemd")
	}
	return nil, fmt.Errorf("unknown network %q", addr.Network)
}

// FD returns the descriptor, which l owns: O_NONBLOCK, close-on-exec. It is for
// the Files of syscall.ForkExec; wrapped in an os.File it may lose the flag.
func (l *Listener) FD() int { return l.fd }

// Address returns the address as bound: "127.0.0.1:43217" when port 0 was asked
// for, "[::]:80" for every address of the machine, "unix:/path", "unix:@name".
func (l *Listener) Address() string { return l.address }

// Name returns the name by which workers find the listener.
func (l *Listener) Name() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.name
}

// Adopted reports whether the socket was inherited, not made by this process or
// by what it was before it executed another program.
func (l *Listener) Adopted() bool { return l.adopted }

// Reachable reports whether clients can still find the socket: the file of a
// unix socket may be removed or replaced while the socket lives on.
func (l *Listener) Reachable() bool { return l.path == "" || l.isOurs() }

// isOurs reports whether the path still leads to the socket made by l.
func (l *Listener) isOurs() bool {
	now, err := os.Lstat(l.path)
	return err == nil && isSocket(now) && inodeOf(now) == l.made
}

// Close lets go of the socket and removes its file, if this process made it and
// it is still there. Copies in workers go on listening.
func (l *Listener) Close() error {
	err := l.unlink(time.Sleep)
	l.mu.Lock()
	defer l.mu.Unlock()
	fd := l.fd
	l.fd = -1 // a late FD() must not hit a descriptor that was opened since
	return errors.Join(err, l.closeMore(), unix.Close(fd))
}

// unlink removes the socket's file before the socket is closed: as long as it
// is open, another starter finds it alive and leaves it alone. Somebody may
// still have removed it and be binding anew, hence the lock.
func (l *Listener) unlink(sleep func(time.Duration)) error {
	if l.path == "" || !l.isOurs() {
		return nil
	}
	folder, err := lockFolder(filepath.Dir(l.path), sleep)
	if err != nil {
		return fmt.Errorf("remove %s: %w", l.path, err) // it stays behind, stale: no obstacle to the next start
	}
	defer unix.Close(folder)
	if !l.isOurs() {
		return nil
	}
	return os.Remove(l.path)
}

// inode is the number of the socket, the same in every process that has it; 0 if it
// is closed.
func (l *Listener) inode() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var st unix.Stat_t
	if l.fd < 0 || unix.Fstat(l.fd, &st) != nil {
		return 0
	}
	return st.Ino
}
