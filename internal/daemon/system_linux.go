package daemon

import (
	"math"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// self is the binary that runs, even if another has its name by now.
func self() string { return "/proc/self/exe" }

// keepName puts the program's name in the place of "exe", which the kernel takes
// from the path above for ps and pgrep.
func keepName() {
	_ = os.WriteFile("/proc/self/comm", []byte(filepath.Base(os.Args[0])), 0)
}

// hideDescriptors keeps from the daemon what the launcher's parent left open.
// Those that are passed on on purpose get their flag back when they are. Before
// Linux 5.11 there is no such flag; the master hides them from its workers.
func hideDescriptors() {
	_ = unix.CloseRange(firstInherited, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}
