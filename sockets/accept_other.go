//go:build !linux

package sockets

import (
	"errors"
	"net"
)

// acceptFrom is never called: a group has one socket here.
func acceptFrom(int) (net.Conn, error) { return nil, errors.ErrUnsupported }
