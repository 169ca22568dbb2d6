package master

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A child is one until it was waited for, also as a zombie.
func TestIsChild(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("true")
	must(t, cmd.Start())
	pid := cmd.Process.Pid
	if !isChild(pid) {
		t.Error("a child is none")
	}
	var info unix.Siginfo
	must(t, unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil))
	if !isChild(pid) {
		t.Error("a zombie is no child")
	}
	must(t, cmd.Wait())
	if isChild(pid) || isChild(os.Getpid()) || isChild(1<<22) {
		t.Error("a child that was waited for, this process, or nobody is a child")
	}
}

// A program has proven itself only if it is what the worker runs.
func TestRuns(t *testing.T) {
	t.Parallel()
	fd, err := openForExec("/proc/self/exe")
	must(t, err)
	defer unix.Close(fd)
	other, err := openForExec(writeFile(t, filepath.Join(t.TempDir(), "app"), elf))
	must(t, err)
	defer unix.Close(other)
	if !runs(os.Getpid(), fd) || runs(os.Getpid(), other) {
		t.Error("this process runs another file than it does")
	}
	if !runs(os.Getpid(), -1) || !runs(1<<22, other) {
		t.Error("what cannot be told is a fault")
	}
}
