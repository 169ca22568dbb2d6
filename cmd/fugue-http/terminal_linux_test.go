package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal returns both ends of a pseudoterminal (pts(4)).
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { ours.Close() })
	must(t, unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	must(t, err)
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	return ours, theirs
}

// TestAResizedTerminalIsNoOrder: the kernel sends WINCH to the processes in the
// foreground of a terminal whose window changes.
func TestAResizedTerminalIsNoOrder(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	ours, theirs := terminal(t)
	cmd := fugueHTTP(dir, "-l", "127.0.0.1:0", "-w", "1", "-s", "ctl")
	cmd.Stdin = theirs
	log := logTo(t, cmd, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	must(t, cmd.Start())
	theirs.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	awaitRunning(t, dir)
	must(t, unix.IoctlSetWinsize(int(ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100}))
	awaitLine(t, log, "WINCH")
	status, err := fugueHTTP(dir, "status", "-s", "ctl").CombinedOutput()
	if err != nil || !strings.Contains(string(status), "1 of 1 workers ready") {
		t.Errorf("%v\n%s", err, status)
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	must(t, cmd.Wait())
}

// TestABackgroundJobMayLog, though the terminal is set to stop who writes from
// there (stty tostop): to the master TTOU means one worker fewer.
func TestABackgroundJobMayLog(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	ours, theirs := terminal(t)
	file(t, dir, "u.toml", "listen = \"127.0.0.1:0\"\nworkers = 3\ncontrol_path = \"ctl\"\n[app]\ndemo = true\n")
	master := fugueHTTP(dir, "-c", "u.toml")
	cmd := exec.Command("/bin/sh", "-c", `stty tostop; set -m; "$@" & echo $! >pid; wait`, "sh", master.Path, "-c", "u.toml")
	cmd.Dir, cmd.Env = dir, master.Env
	cmd.Args[4], _ = os.Executable()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	must(t, cmd.Start())
	theirs.Close()
	go func() { _, _ = io.Copy(io.Discard, ours) }() // ends with the terminal
	t.Cleanup(func() {
		text, _ := os.ReadFile(dir + "/pid")
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && t.Failed() { // else it has stopped
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		cmd.Process.Kill()
		cmd.Wait()
	})
	awaitRunning(t, dir)
	for range 5 { // each is a line of the log
		must(t, fugueHTTP(dir, "reopen-logs", "-s", "ctl").Run())
	}
	status, err := fugueHTTP(dir, "status", "-s", "ctl").CombinedOutput()
	if err != nil || !strings.Contains(string(status), "3 of 3 workers ready") {
		t.Errorf("%v\n%s", err, status)
	}
	if out, err := fugueHTTP(dir, "stop", "-s", "ctl").CombinedOutput(); err != nil {
		t.Errorf("stop: %v %s", err, out)
	}
}
