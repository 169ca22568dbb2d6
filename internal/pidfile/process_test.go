package pidfile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// With this variable set the test binary is another process that acquires the
// path in it, says "held" or the error, and stays until its stdin ends.
const holderPath = "PIDFILE_TEST_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holderPath); path != "" {
		hold(path)
		return
	}
	os.Exit(m.Run())
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
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { stdin.Close(); cmd.Process.Kill(); cmd.Wait() })
	said, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	return cmd, strings.TrimSpace(said)
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
