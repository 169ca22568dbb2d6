package master

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Both ways of keeping the launcher's descriptors out of workers; the second is
// for kernels before 5.11.
func TestDescriptorsAreClosedOnExec(t *testing.T) {
	for name, act := range map[string]func(){"close_range": closeOnExec, "one by one": closeEachOnExec} {
		t.Run(name, func(t *testing.T) {
			fd, err := unix.Open(os.DevNull, unix.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			act()
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor %d has the flags %#x (%v)", fd, flags, err)
			}
			if flags, err := unix.FcntlInt(1, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
				t.Errorf("stdout has the flags %#x (%v)", flags, err)
			}
		})
	}
}
