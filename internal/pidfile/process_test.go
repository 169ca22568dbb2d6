package pidfile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// With this variable set the test binary is another process that acquires the
// path in it, says "held" or the error, and stays until its stdin ends.
const holderPath = "PIDFILE_TEST_HOLD"

// With this one as well it executes itself once it holds the path; what it is
// then finds the descriptor in the variable.
const holderExec = "PIDFILE_TEST_EXEC"

func TestMain(m *testing.M) {
	path, heir := os.Getenv(holderPath), os.Getenv(holderExec)
	switch {
	case path == "":
		os.Exit(m.Run())
	case heir == "":
		hold(path)
	case heir == "yes":
		fmt.Println(becomeHeir(path))
	default:
		inherit(path, heir)
	}
}

// becomeHeir returns only if it fails.
func becomeHeir(path string) error {
	f, err := Acquire(path, os.Getpid())
	if err != nil {
		return err
	}
	if _, err := unix.FcntlInt(uintptr(f.FD()), unix.F_SETFD, 0); err != nil {
		return err
	}
	os.Setenv(holderExec, strconv.Itoa(f.FD()))
	return syscall.Exec("/proc/self/exe", os.Args[:1], os.Environ())
}

// inherit removes what it has inherited when its stdin ends.
func inherit(path, descriptor string) {
	fd, _ := strconv.Atoi(descriptor)
	f, err := Inherit(path, fd)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("inherited")
	io.Copy(io.Discard, os.Stdin)
	if err := f.Remove(); err != nil {
		fmt.Println(err)
	}
}

func hold(path string) {
	syscall.Umask(0o077)
	_, err := Acquire(path, os.Getpid())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("held")
	io.Copy(io.Discard, os.Stdin)
}

// startHolder returns a process that was told to hold path and what it said.
func startHolder(t *testing.T, path string, as *syscall.Credential) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holderPath+"="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	_, said := start(t, cmd)
	return cmd, said
}

// start returns the stdin of cmd and the first line that it says.
func start(t *testing.T, cmd *exec.Cmd) (io.Closer, string) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { stdin.Close(); cmd.Process.Kill(); cmd.Wait() })
	said, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	return stdin, strings.TrimSpace(said)
}

func TestAKilledHolderIsNoObstacle(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	holder, said := startHolder(t, path, nil)
	if said != "held" {
		t.Fatal(said)
	}
	wantRefusal(t, path, fmt.Sprintf("held by process %d", holder.Process.Pid))
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("under umask 077: %v, %v, want 0644", info.Mode(), err)
	}
	must(t, holder.Process.Kill())
	holder.Wait()
	acquired(t, path, 77)
	wantContent(t, path, "77\n")
}
