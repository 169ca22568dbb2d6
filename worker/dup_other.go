//go:build !linux

package worker

import "golang.org/x/sys/unix"

// dupOnto makes fd "to" another name of fd "from", inherited by children.
func dupOnto(from, to int) error {
	return unix.Dup2(from, to)
}
