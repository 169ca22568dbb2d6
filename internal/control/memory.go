package control

import (
	"bytes"
	"os"
	"strconv"
)

// RSS is the memory of a process that is resident, in bytes, as proc(5) has it
// in pages; 0 where it is not known.
func RSS(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0 // it is gone, or this is no Linux
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
