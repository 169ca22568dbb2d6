package control

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A Waiter is the connection of a client that waits for the outcome of a reload
// or an upgrade. It is a bare descriptor, which neither net/http nor the runtime
// knows, so that it can be handed over when the master becomes its next image.
type Waiter struct{ fd atomic.Int64 } // -1 once answered

// Outcome is what came of a reload or an upgrade.
type Outcome struct {
	Kind       string // reload, upgrade
	OK         bool
	Reason     string // why it failed, in one line or several
	Generation int    // that serves now, if it did not fail
}

// achieved is the answer to one that went well.
type achieved struct {
	OK         bool   `json:"ok"`
	Kind       string `json:"kind"`
	Generation int    `json:"generation"`
}

// An answer is written at once or not at all: with every byte of the reason
// escaped it fits into the buffer of a socket to which nothing was written yet.
// Only the default of macOS (8 KiB) is too small.
const (
	maxReason  = 32 << 10
	roomToSend = 8 * maxReason
)

// newWaiter makes a Waiter of a copy of c's descriptor, non-blocking as c is. The
// numbers 0 to 2 are left out: a write to a broken 1 or 2 ends a Go program.
func newWaiter(c *net.UnixConn) (*Waiter, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if ctl := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) }); ctl != nil {
		return nil, ctl
	}
	if err != nil {
		return nil, fmt.Errorf("keep the connection: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, roomToSend)
	return holding(fd), nil
}

// RestoreWaiter is for the next image of the master: fd is what FD was in the
// last. It is close-on-exec again.
func RestoreWaiter(fd int) *Waiter {
	if fd >= 0 {
		unix.CloseOnExec(fd)
	}
	return holding(fd)
}

func holding(fd int) *Waiter {
	w := &Waiter{}
	w.fd.Store(int64(fd))
	return w
}

// FD is the descriptor, which w owns; -1 once w is answered.
func (w *Waiter) FD() int { return int(w.fd.Load()) }

// Answer tells the client and closes the connection. It never blocks. Only the
// first answer counts, and that the client has left does no harm.
func (w *Waiter) Answer(o Outcome) {
	if o.OK {
		w.end(http.StatusOK, achieved{true, o.Kind, o.Generation})
		return
	}
	reason := cmp.Or(o.Reason, "the "+o.Kind+" failed")
	w.end(answerTo(fail(http.StatusInternalServerError, "%s", clip(reason))))
}

// refuse tells the client that the loop has not taken it on.
func (w *Waiter) refuse(err error) { w.end(answerTo(err)) }

func (w *Waiter) end(code int, answer any) {
	fd := int(w.fd.Swap(-1))
	if fd < 0 {
		return
	}
	_, _ = unix.Write(fd, response(code, encode(answer)))
	_ = unix.Close(fd)
}

// response is all of it, as net/http would write it.
func response(code int, body []byte) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"+
		"Content-Length: %d\r\nConnection: close\r\n\r\n%s", code, http.StatusText(code), len(body), body)
}

func clip(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxReason], "") + " …"
}
