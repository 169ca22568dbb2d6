//go:build !linux

package sockets

import "errors"

// bell exists on Linux only.
type bell struct{ number uint32 }

func newBell() (*bell, error)  { return nil, errors.ErrUnsupported }
func (b *bell) heard(f func()) {}
func (b *bell) ring(uint32)    {}
func (b *bell) close()         {}
