package master

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/master/pool"
)

// A foreign app may speak the protocol of systemd instead of the pipe's
// (sd_notify(3)). Each worker has a socket of its own for that: one that floods
// its socket, or fills it so that nothing more fits, does so to itself alone. The
// name can be seen by all users of the machine (/proc/net/unix), so each message
// is believed only if the kernel says that it came from the worker's own process.

// notifyReader is what is known of the worker while its messages are read.
type notifyReader struct {
	slot, pid int
	fd        int
	name      string // in the abstract namespace (unix(7)), without its @
	file      *os.File
	pipe      *os.File // of the same worker, which events are told by
}

// openNotify makes the socket of one worker.
func openNotify() (fd int, name string, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, "", err
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	name = "fugue/notify/" + hex.EncodeToString(random[:])
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: "@" + name})
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, "", err
	}
	return fd, name, nil
}

// longestNotify is what is read of one message; the rest of a longer one is lost.
const longestNotify = 4 << 10

// run forwards what the worker says. It ends when the file is closed, or when the
// loop wants it to rest by a deadline; then it says so, and leaves the file open.
func (n *notifyReader) run(events chan<- event) {
	buf, oob := make([]byte, longestNotify), make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(64*4))
	said, since := 0, time.Now()
	for {
		text, err := n.read(buf, oob)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			events <- event{said: notifyOver, pipe: n.pipe, Event: pool.Event{PID: n.pid}}
		}
		if err != nil {
			return
		}
		for _, e := range n.understand(text) {
			events <- e
		}
		if said++; said > linesAtOnce {
			time.Sleep(linesPause - min(time.Since(since), linesPause))
			said, since = 0, time.Now()
		}
	}
}

// read waits for a message and returns its text, "" if it is not the worker's.
func (n *notifyReader) read(buf, oob []byte) (text string, err error) {
	raw, err := n.file.SyscallConn()
	if err != nil {
		return "", err
	}
	var size, extra int
	var bad error
	err = raw.Read(func(fd uintptr) bool {
		size, extra, _, _, bad = unix.Recvmsg(int(fd), buf, oob, unix.MSG_CMSG_CLOEXEC)
		return bad != unix.EAGAIN && bad != unix.EINTR
	})
	if err := errors.Join(err, bad); err != nil {
		return "", err
	}
	if sentBy(oob[:extra]) != n.pid {
		return "", nil
	}
	return string(buf[:size]), nil
}

// sentBy is the process that the kernel says a message came from, 0 if it does not.
// Descriptors that came with it are closed: nobody has asked for them.
func sentBy(oob []byte) (pid int) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			pid = int(cred.Pid)
		}
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		}
	}
	return pid
}

// understand turns a message into events, one for each line that means something.
func (n *notifyReader) understand(text string) (list []event) {
	for line := range bytes.Lines([]byte(text)) {
		e := event{pipe: n.pipe, Event: pool.Event{Slot: n.slot, PID: n.pid}}
		switch word := strings.TrimRight(string(line), "\n"); {
		case word == "READY=1":
			e.Kind = pool.ReadySaid
		case word == "STOPPING=1":
			e.Kind = pool.DrainingSaid
		case word == "WATCHDOG=1":
			e.Kind, e.Bare = pool.BeatHeard, true
		case strings.HasPrefix(word, "STATUS="):
			e.said, e.Why = saysStatus, control.Printable(clip(word[len("STATUS="):], 200))
		default:
			continue
		}
		list = append(list, e)
	}
	return list
}
