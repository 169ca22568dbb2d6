//go:build !linux

package handover

import (
	"errors"
	"os/signal"
)

func memory() (int, error) { return -1, errors.New("an upgrade in place needs Linux") }

func ignoreReloads() (restore func()) {
	signal.Ignore(reloads...)
	return func() {}
}
