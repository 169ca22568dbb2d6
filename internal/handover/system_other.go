//go:build !linux

package handover

import (
	"errors"
	"os/signal"
	"syscall"
)

func memory() (int, error) { return -1, errors.New("an upgrade in place needs Linux") }

func hold() (restore func()) {
	signal.Ignore(append(held, ignored...)...)
	return func() {}
}

func mortal() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
