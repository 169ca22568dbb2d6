package handover

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// memory returns a new file that has no name and takes no room on any disk, which
// may be full or read-only. It says that nobody will execute it, as a hardened
// system demands (vm.memfd_noexec=2); a kernel before 6.3 does not know the flag.
func memory() (int, error) {
	fd, err := unix.MemfdCreate("fugue handover", unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate("fugue handover", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return -1, fmt.Errorf("memfd_create: %w", err)
	}
	return fd, nil
}
