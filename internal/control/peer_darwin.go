package control

import "golang.org/x/sys/unix"

// credential is the effective user at the other end (LOCAL_PEERCRED in unix(4)).
func credential(fd int) (int, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
