//go:build !linux

package master

import "golang.org/x/sys/unix"

// collect reaps pid if it has ended, then ends what is left of its group.
func collect(pid int) (unix.WaitStatus, bool) {
	var status unix.WaitStatus
	if got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); got != pid || err != nil {
		return 0, false
	}
	_ = unix.Kill(-pid, unix.SIGKILL)
	return status, true
}

func (m *master) reapOrphans() {}
