//go:build !linux

package sockets

import "errors"

// sharedMemory: workers accept without regard to each other here.
func sharedMemory(int) (int, error) { return -1, errors.ErrUnsupported }
