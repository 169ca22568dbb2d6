package sockets

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fosterLocked stays with a socket that nobody else serves.
func (l *shared) fosterLocked(b *sibling) {
	fd, err := unix.FcntlInt(uintptr(b.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return // it stays on the rounds
	}
	b.foster = os.NewFile(uintptr(fd), "socket of another worker") // O_NONBLOCK is set, so it goes to the poller
	go l.fosters(b, b.foster)
}

// fosters sends Accept as soon as a connection comes, as long as nobody else takes it.
// It ends when somebody does, or with Close.
func (l *shared) fosters(b *sibling, f *os.File) {
	defer l.weaned(b)
	until := time.Now().Add(fosterTime)
	for awaitQueue(f) {
		if time.Now().After(until) {
			if !l.rest(moment) || !hasQueueFile(f) {
				return
			}
			until = time.Now().Add(fosterTime)
		}
		select {
		case <-l.ended:
			return
		case <-l.send(b):
		}
		if l.hasFailed(b) && !l.rest(lookSoonest) {
			return
		}
	}
}

// send returns a channel that is closed when Accept has taken what waits now.
func (l *shared) send(b *sibling) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	done := make(chan struct{})
	if l.closed {
		close(done)
		return done
	}
	l.sendLocked(b, lengthOf(b.fd))
	if b.taken == nil {
		b.taken = done
	}
	return b.taken
}

func (l *shared) hasFailed(b *sibling) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return b.failed
}

// weaned puts a socket back on the rounds.
func (l *shared) weaned(b *sibling) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.foster.Close()
	b.foster, b.helped = nil, 0
}

// awaitQueue waits until the socket has a connection; false if f was closed.
func awaitQueue(f *os.File) bool {
	raw, err := f.SyscallConn()
	return err == nil && raw.Read(func(fd uintptr) bool { return hasQueueFD(int(fd)) }) == nil
}

func hasQueueFile(f *os.File) (queued bool) {
	raw, err := f.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { queued = hasQueueFD(int(fd)) }) // fails if it is closed
	}
	return queued
}
