package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLastLinesOutliveTheLogProcess: it dies, and the stop comes before its
// successor was to be started.
func TestLastLinesOutliveTheLogProcess(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	file(t, dir, "u.toml", "listen = \"127.0.0.1:0\"\nworkers = 1\ncontrol_path = \"ctl\"\nlog_file = \"app.log\"\n"+
		"[app]\ncommand = [\"/bin/sh\", \"-c\", \"trap 'echo last words; exit' TERM; echo first words; while :; do sleep 0.1; done\"]\n")
	cmd := fugueHTTP(dir, "-c", "u.toml")
	log := logTo(t, cmd, dir)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	awaitRunning(t, dir)
	must(t, unix.Kill(logProcess(t, cmd.Process.Pid), unix.SIGKILL))
	awaitLine(t, log, "log process gone")
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	must(t, cmd.Wait())
	text, err := os.ReadFile(filepath.Join(dir, "app.log"))
	if err != nil || !strings.Contains(string(text), "last words\n") {
		t.Errorf("%v, %q", err, text)
	}
}

// logProcess finds it among the children of master, by its arguments.
func logProcess(t *testing.T, master int) int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	for _, dir := range dirs {
		stat, _ := os.ReadFile(dir + "/stat")
		args, _ := os.ReadFile(dir + "/cmdline")
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(master) && string(args) == "fugue-http\x00log\x00" {
			pid, err := strconv.Atoi(filepath.Base(dir))
			must(t, err)
			return pid
		}
	}
	t.Fatal("there is no log process")
	return 0
}
