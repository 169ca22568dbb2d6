package daemon

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheDaemonHasOnlyWhatItShouldHave(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	socket, err := ln.(*net.TCPListener).File()
	must(t, err)
	defer socket.Close()
	secret, err := os.Open("/etc/passwd")
	must(t, err)
	defer secret.Close()
	l := launch(t, "ok", func(cmd *exec.Cmd) {
		cmd.ExtraFiles = []*os.File{socket, secret, secret}
		cmd.Env = append(cmd.Env, "LISTEN_FDS=1")
		cmd.Args[0] = "/usr/bin/an-app"
	})
	f := l.facts(t)
	f.endWith(t)
	l.wantExit(t, 0, "")
	for _, fd := range []string{"0", "1", "2"} {
		if f.FDs[fd] != os.DevNull {
			t.Errorf("descriptor %s is %s", fd, f.FDs[fd])
		}
	}
	if !strings.HasPrefix(f.FDs["3"], "socket:") || f.ListenPID != f.PID {
		t.Errorf("%+v: the socket of systemd was not passed on", f)
	}
	for fd, to := range f.FDs {
		if to == "/etc/passwd" {
			t.Errorf("descriptor %s is %s", fd, to)
		}
	}
	if f.Comm != "an-app" {
		t.Errorf("its name is %q, want that of argument 0", f.Comm)
	}
}

func TestTheDaemonHasNoTerminal(t *testing.T) {
	t.Parallel()
	tty := terminal(t)
	l := launch(t, "ok", func(cmd *exec.Cmd) {
		cmd.Stdin = tty
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	})
	f := l.facts(t)
	f.endWith(t)
	l.wantExit(t, 0, "")
	if f.Terminal != syscall.ENXIO.Error() {
		t.Errorf("opening /dev/tty: %q, want %q", f.Terminal, syscall.ENXIO)
	}
}

// terminal is the far end of a new pty.
func terminal(t *testing.T) *os.File {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no terminals here:", err)
	}
	t.Cleanup(func() { ptmx.Close() })
	must(t, unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	must(t, err)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no terminals here:", err)
	}
	t.Cleanup(func() { tty.Close() })
	return tty
}
