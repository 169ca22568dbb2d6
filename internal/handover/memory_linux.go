package handover

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// memory returns a new file that has no name and takes no room on any disk, which
// may be full or read-only.
func memory() (int, error) {
	fd, err := unix.MemfdCreate("fugue handover", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("memfd_create: %w", err)
	}
	return fd, nil
}
