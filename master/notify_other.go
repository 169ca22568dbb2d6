//go:build !linux

package master

import "os"

// notifyReader exists on Linux only: elsewhere the sender of a message is not known.
type notifyReader struct {
	slot, pid int
	fd        int
	name      string
	file      *os.File
	pipe      *os.File
}

func openNotify() (fd int, name string, err error) { return -1, "", nil }

func (n *notifyReader) run(chan<- event) {}
