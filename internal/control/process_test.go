package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// With this variable set the test binary is another process: "ROLE PATH".
const roleEnv = "CONTROL_TEST_ROLE"

var roles = map[string]func(path string) error{
	"master": beMaster,
	"client": beClient,
}

func TestMain(m *testing.M) {
	role, path, _ := strings.Cut(os.Getenv(roleEnv), " ")
	if role == "" {
		os.Exit(m.Run())
	}
	if err := roles[role](path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// beMaster serves until it is told to stop, and then ends as a master does.
func beMaster(path string) error {
	l, err := listen(path)
	if err != nil {
		return err
	}
	asks := make(chan Ask)
	s, err := Serve(l, asks, oneListener)
	if err != nil {
		return err
	}
	fmt.Println("serving")
	for a := range asks {
		a.Reply(Answer{})
		if a.Kind == AskStop {
			break
		}
	}
	return s.Close()
}

func beClient(path string) error {
	c, err := Dial(path)
	if err == nil {
		_, err = c.Status()
	}
	return err
}

// play starts the test binary in a role.
func play(t *testing.T, role, path string, as *syscall.Credential) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), roleEnv+"="+role+" "+path, "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	return cmd
}

func TestStopWaitsUntilTheProcessIsGone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "s")
	master := play(t, "master", path, nil)
	out, err := master.StdoutPipe()
	must(t, err)
	must(t, master.Start())
	t.Cleanup(func() { master.Process.Kill(); master.Wait() })
	line := make([]byte, len("serving\n"))
	_, err = out.Read(line)
	must(t, err)
	c, err := Dial(path)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, c.Stop(ctx, false))
	must(t, master.Wait())
	_, err = c.Status()
	wantText(t, err, "nothing listens on "+path)
}

func TestStopSaysWhenItHasWaitedLongEnough(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // ends with the stop that is asked for below
		if a := <-l.heard; a.Kind == AskStop && a.Quick {
			cancel()
		}
	}()
	if err := l.client(t).Stop(ctx, true); !errors.Is(err, ErrStillRunning) {
		t.Errorf("got %v", err)
	}
}

// nobody is a user that is neither root nor us.
func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be two users")
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534}
}

func TestStrangersAreRefusedByTheirCredentials(t *testing.T) {
	t.Parallel()
	as := nobody(t)
	l := startLoop(t, running())
	must(t, os.Chmod(filepath.Dir(l.path), 0o755))
	out, _ := play(t, "client", l.path, as).Output()
	if want := l.path + " is only for root and the user that runs fugue-http\n"; string(out) != want {
		t.Errorf("mode 0600: got %q, want %q", out, want)
	}
	must(t, os.Chmod(l.path, 0o666))
	out, _ = play(t, "client", l.path, as).Output()
	if want := "only root and the user that runs the master may use this socket\n"; string(out) != want {
		t.Errorf("mode 0666: got %q, want %q", out, want)
	}
	if n := len(l.heard); n != 0 {
		t.Errorf("the loop heard of %d", n)
	}
}

func TestAStrangersSocketIsNotTrusted(t *testing.T) {
	t.Parallel()
	as := nobody(t)
	dir := shortDir(t)
	must(t, os.Chmod(dir, 0o777))
	path := filepath.Join(dir, "s")
	master := play(t, "master", path, as)
	out, err := master.StdoutPipe()
	must(t, err)
	must(t, master.Start())
	t.Cleanup(func() { master.Process.Kill(); master.Wait() })
	_, err = out.Read(make([]byte, 100))
	must(t, err)
	must(t, os.Chmod(path, 0o666))
	text, _ := play(t, "client", path, &syscall.Credential{Uid: 65533, Gid: 65533}).Output()
	if want := "belongs to another user (uid 65534)"; !strings.Contains(string(text), want) {
		t.Errorf("got %q, want %q", text, want)
	}
	if err := beClient(path); err != nil {
		t.Errorf("root: %v", err)
	}
}
