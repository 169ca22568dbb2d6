package master

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// startTime tells a process from a later one with the same pid: field 22 of
// /proc/PID/stat (proc(5)), in clock ticks since the machine was started. 0 if that
// cannot be read, which says nothing about the process.
func startTime(pid int) uint64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name of the program, in brackets, may have brackets and blanks in it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const field = 22 - 3 // the first one behind the name is number 3
	if len(fields) <= field {
		return 0
	}
	ticks, _ := strconv.ParseUint(string(fields[field]), 10, 64)
	return ticks
}

// isChild says that pid is a child that was not waited for. The kernel gives the
// number to nobody else until it is.
func isChild(pid int) bool {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err != unix.ECHILD
		}
	}
}

// runs says that process pid runs the file that fd was opened on, as far as that can
// be told. It is asked by the loop, so nothing is looked up on a disk.
func runs(pid, fd int) bool {
	const known = unix.AT_STATX_DONT_SYNC
	var exe, open unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH|known, unix.STATX_INO, &open) != nil ||
		unix.Statx(unix.AT_FDCWD, fmt.Sprintf("/proc/%d/exe", pid), known, unix.STATX_INO, &exe) != nil {
		return true
	}
	return exe.Ino == open.Ino && exe.Dev_major == open.Dev_major && exe.Dev_minor == open.Dev_minor
}
