//go:build !linux

package sdnotify

import (
	"errors"
	"time"
)

// Supervisors that listen run on Linux.
func (s *Sender) send(string) error { return errors.ErrUnsupported }

func monotonic() time.Duration { return 0 }
