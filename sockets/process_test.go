package sockets

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// roles are what the test binary can be started as, by this variable.
const roleVariable = "SOCKETS_TEST_ROLE"

var roles = map[string]func(arg string) error{
	"hold":    func(arg string) error { return holdSocket(arg, once) },
	"own":     func(arg string) error { return holdSocket(arg, Options{}) }, // owned by root
	"die":     func(string) error { os.Exit(1); return nil },
	"serve":   serveOnce,
	"block":   func(string) error { return unix.SetNonblock(3, false) },
	"inherit": printInherited,
	"bind":    bindUnderNoUmask,
	"exec":    becomeAnother,
	"restore": printRestored,
}

func init() {
	name, arg, ok := strings.Cut(os.Getenv(roleVariable), " ")
	if !ok {
		return
	}
	if err := roles[name](arg); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// holdSocket listens on arg until stdin ends.
func holdSocket(arg string, opt Options) error {
	addr, err := ParseAddress(arg)
	if err != nil {
		return err
	}
	if _, err = Listen(addr, opt); err != nil {
		return err
	}
	fmt.Println("listens")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// serveOnce is a worker that uses descriptor 3 as any Go program would.
func serveOnce(string) error {
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	return errors.Join(c.Close(), l.Close())
}

// printInherited says what was inherited and closes it all.
func printInherited(string) error {
	all, err := Inherited(os.Getpid(), func(key string) string {
		if key == "LISTEN_PID" {
			return fmt.Sprint(os.Getpid())
		}
		return os.Getenv(key)
	})
	for _, l := range all {
		nonblocking, _ := Nonblocking(l.FD())
		flags, _ := unix.FcntlInt(uintptr(l.FD()), unix.F_GETFD, 0)
		fmt.Println(l.FD(), l.Name(), l.Address(), l.Adopted(), nonblocking, flags == unix.FD_CLOEXEC)
		err = errors.Join(err, l.Close())
	}
	return err
}

// bindUnderNoUmask prints the mode a socket's file is born with.
func bindUnderNoUmask(path string) error {
	syscall.Umask(0)
	fd, err := newSocket(unix.AF_UNIX, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(narrow(fd), unix.Bind(fd, &unix.SockaddrUnix{Name: path})); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	fmt.Println(info.Mode().Perm())
	return err
}

// becomeAnother listens on arg and executes the same program in its place, which
// is told of the listener.
func becomeAnother(arg string) error {
	addr, err := ParseAddress(arg)
	if err != nil {
		return err
	}
	opt := once
	opt.Name, opt.Backlog = "web", 7
	l, err := Listen(addr, opt)
	if err != nil {
		return err
	}
	state, err := json.Marshal(l.State())
	if err != nil {
		return err
	}
	if _, err := unix.FcntlInt(uintptr(l.FD()), unix.F_SETFD, 0); err != nil {
		return err
	}
	if err := os.Setenv(roleVariable, "restore "+string(state)); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args[:1], os.Environ())
}

// printRestored says what was taken over, and closes it when stdin ends.
func printRestored(arg string) error {
	var s State
	if err := json.Unmarshal([]byte(arg), &s); err != nil {
		return err
	}
	l, err := Restore(s)
	if err != nil {
		return err
	}
	nonblocking, _ := Nonblocking(l.FD())
	flags, _ := unix.FcntlInt(uintptr(l.FD()), unix.F_GETFD, 0)
	_, limit := l.Queue()
	fmt.Println(l.Address(), l.Name(), limit, l.Adopted(), l.Reachable(), nonblocking, flags == unix.FD_CLOEXEC)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return l.Close()
}

// The race detector would let every child linger for a second at its end.
const atOnce = "GORACE=atexit_sleep_ms=0"

// as returns the command that starts the test binary in a role.
func as(role string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), roleVariable+"="+role, atOnce), env...)
	return cmd
}

// F45, with a real crash.
func TestTheSocketOfAKilledProcessIsReplaced(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	owner := as("hold unix:" + path)
	stdin, err := owner.StdinPipe()
	must(t, err)
	stdout, err := owner.StdoutPipe()
	must(t, err)
	must(t, owner.Start())
	t.Cleanup(func() { stdin.Close(); owner.Wait() })
	if said, err := bufio.NewReader(stdout).ReadString('\n'); said != "listens\n" {
		t.Fatalf("%q, %v", said, err)
	}
	refused(t, "unix:"+path, once, "another process listens there")
	must(t, owner.Process.Kill())
	owner.Wait()
	lstat(t, path)
	dial(t, listen(t, "unix:"+path, once))
}

// golang/go#24942, #43894: children started on a shared listener must leave its
// O_NONBLOCK alone, whatever becomes of them.
func TestChildrenLeaveNonblockAlone(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0", once)
	wantExit(t, fork(t, l, "die "), 1)
	wantFlags(t, l.FD())
	server := fork(t, l, "serve ")
	c := dial(t, l)
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v, want the worker's EOF", err)
	}
	wantFlags(t, l.FD())
	wantExit(t, server, 0)
	wantFlags(t, l.FD())
	if restored, err := KeepNonblocking(l); restored || err != nil {
		t.Errorf("restored %v, %v, though it was set", restored, err)
	}
}

func TestNonblockClearedByAnAppIsRestored(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0", once)
	wantExit(t, fork(t, l, "block "), 0)
	if ok, err := Nonblocking(l.FD()); ok || err != nil {
		t.Fatalf("O_NONBLOCK %v, %v, want it cleared by the child", ok, err)
	}
	if restored, err := KeepNonblocking(l); !restored || err != nil {
		t.Errorf("restored %v, %v", restored, err)
	}
	wantFlags(t, l.FD())
}

func TestNonblockOfAClosedListener(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0", once)
	must(t, l.Close())
	if _, err := KeepNonblocking(l); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v, want EBADF", err)
	}
}

// fork starts a child in a role, with l as descriptor 3, as the master does.
func fork(t *testing.T, l *Listener, role string) (pid int) {
	t.Helper()
	pid, err := syscall.ForkExec("/proc/self/exe", []string{role}, &syscall.ProcAttr{
		Env:   append(os.Environ(), roleVariable+"="+role, atOnce),
		Files: []uintptr{0, 1, 2, uintptr(l.FD())},
	})
	must(t, err)
	return pid
}

func wantExit(t *testing.T, pid, want int) {
	t.Helper()
	var status syscall.WaitStatus
	_, err := syscall.Wait4(pid, &status, 0, nil)
	for err == syscall.EINTR {
		_, err = syscall.Wait4(pid, &status, 0, nil)
	}
	if err != nil || status.ExitStatus() != want {
		t.Errorf("child ended with %d, %v, want %d", status.ExitStatus(), err, want)
	}
}
