//go:build !linux

package master

import "golang.org/x/sys/unix"

func openAs(path string, flags int) (int, error) { return unix.Open(path, flags, logMode) }
