package master

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// listenToNotify prepares a reader for the socket that c was given.
func (c *child) listenToNotify(fd int, name string) {
	if fd < 0 {
		return
	}
	c.notify = &notifyReader{slot: c.slot, pid: c.pid, fd: fd, name: name, pipe: c.pipe, file: os.NewFile(uintptr(fd), "notify socket")}
}

// closeNotify ends the reader, if there is one that runs.
func (c *child) closeNotify() {
	if c.notify != nil {
		_ = c.notify.file.Close()
	}
}

// rest has the reader end. What arrives meanwhile waits in the socket.
func (n *notifyReader) rest() {
	if n != nil {
		_ = n.file.SetReadDeadline(time.Now())
	}
}

// notifyRests says that nobody reads, or that there is nothing to read.
func (c *child) notifyRests() bool { return c.notify == nil || c.notifyOver }

// wakeNotify has a reader that has come to rest go on.
func (c *child) wakeNotify(events chan<- event) {
	if c.notify == nil {
		return
	}
	_ = c.notify.file.SetReadDeadline(time.Time{})
	if c.notifyOver {
		c.notifyOver = false
		go c.notify.run(events)
	}
}

func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}
