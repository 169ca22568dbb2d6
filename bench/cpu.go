package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cpu is the processor time that a process has used, in seconds: the exact sum of
// its threads (schedstat), not ticks.
func cpu(pid int) (seconds float64) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			ns, _ := strconv.ParseFloat(fields[0], 64)
			seconds += ns / 1e9
		}
	}
	return seconds
}

// cpuOf is that of all processes of the server's session. Beside busy neighbours it
// tells more than the clock does.
func cpuOf(s *server) (seconds float64) {
	for _, pid := range session(s.cmd.Process.Pid) {
		seconds += cpu(pid)
	}
	return seconds
}

// session lists the processes of one (proc_pid_stat(5), field 6).
func session(id int) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		text, _ := os.ReadFile(f)
		_, rest, _ := bytes.Cut(text, []byte(") ")) // names with a bracket are none of ours
		fields := strings.Fields(string(rest))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err == nil && len(fields) > 3 && fields[3] == strconv.Itoa(id) {
			pids = append(pids, pid)
		}
	}
	return pids
}
