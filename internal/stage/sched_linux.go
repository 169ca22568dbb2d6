package stage

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Values of Order.Sched.
const (
	SchedAuto  = "auto"  // batch, unless the launcher has chosen a policy
	SchedBatch = "batch" // wakes preempt nobody
	SchedOther = "other" // the kernel's normal policy
)

const (
	schedOther       = 0 // sched(7); unix has only the newest of these
	schedBatch       = 3
	schedResetOnFork = 0x40000000
)

// schedule sets the policy of this thread, which the app's threads inherit. It needs
// no privilege and leaves the nice value alone (sched(7)).
func schedule(word string) error {
	switch word {
	case SchedAuto:
		if now, _, errno := unix.Syscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0); errno == 0 && now&^schedResetOnFork == schedOther {
			_ = setPolicy(schedBatch) // it serves without, somewhat slower
		}
	case SchedBatch:
		return setPolicy(schedBatch)
	case SchedOther:
		return setPolicy(schedOther)
	}
	return nil
}

func setPolicy(policy int) error {
	priority := int32(0) // the whole of struct sched_param; neither policy has any
	_, _, errno := unix.Syscall(unix.SYS_SCHED_SETSCHEDULER, 0, uintptr(policy), uintptr(unsafe.Pointer(&priority)))
	if errno != 0 {
		return fmt.Errorf("app.sched: sched_setscheduler to policy %d: %w", policy, errno)
	}
	return nil
}
