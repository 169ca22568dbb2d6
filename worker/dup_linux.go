package worker

import "golang.org/x/sys/unix"

// dupOnto makes fd "to" another name of fd "from", inherited by children.
func dupOnto(from, to int) error {
	return unix.Dup3(from, to, 0) // arm64 has no dup2
}
