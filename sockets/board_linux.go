package sockets

import "golang.org/x/sys/unix"

// sharedMemory returns a descriptor of memory that nobody can make smaller, which
// would end everyone who reads there (SIGBUS).
func sharedMemory(size int) (int, error) {
	fd, err := unix.MemfdCreate("fugue-board", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, err
	}
	if err = unix.Ftruncate(fd, int64(size)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
