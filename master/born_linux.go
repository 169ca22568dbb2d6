package master

import (
	"bytes"
	"os"
	"strconv"
)

// startTime tells a process from a later one with the same pid: field 22 of
// /proc/PID/stat (proc(5)), in clock ticks since the machine was started. 0 if
// there is no such process.
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
