package control

import "golang.org/x/sys/unix"

// credential is the effective user of whoever connected, or listened, at that
// moment (SO_PEERCRED in unix(7)).
func credential(fd int) (int, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
