package worker

import "golang.org/x/sys/unix"

// outliveMaster clears the calling thread's death signal (prctl(2)).
func outliveMaster() { _ = unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) }
