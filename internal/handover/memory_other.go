//go:build !linux

package handover

import "errors"

func memory() (int, error) { return -1, errors.New("an upgrade in place needs Linux") }
