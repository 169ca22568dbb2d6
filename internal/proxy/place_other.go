//go:build !linux

package proxy

import "io"

// claimPort does nothing: there are no abstract Unix sockets.
func claimPort(int) (io.Closer, error) { return nil, nil }

// strangersPort cannot tell.
func strangersPort(int) bool { return false }
