package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/fugue-http/fugue/internal/wire"
)

// The test binary is its own first stage: with an order in the environment it
// becomes what the order says.
func TestMain(m *testing.M) {
	Enter()
	os.Exit(m.Run())
}

func TestOrderSurvivesTheEnvironment(t *testing.T) {
	t.Parallel()
	mask := 0o27
	want := Order{Master: 7, Dir: "/x y", Umask: &mask, User: &User{UID: 1, GID: 2, Groups: []int{2, 3}, Name: "www"},
		Locked: true, Death: 15, Sched: "batch", Argv: []string{"a b", "\"c\""}, Self: true}
	env := want.Environ([]string{"A=1"})
	if len(env) != 2 || env[0] != "A=1" {
		t.Fatalf("environment %q", env)
	}
	var got Order
	if err := json.Unmarshal([]byte(strings.TrimPrefix(env[1], Env+"=")), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	env := []string{"A=1", "B=2=3", "AB=4", "C"}
	if got := Without(env, "A", "C"); !reflect.DeepEqual(got, []string{"B=2=3", "AB=4"}) {
		t.Errorf("got %q", got)
	}
	if env[0] != "A=1" {
		t.Error("the list it was given has changed")
	}
}

// enter runs the first stage with o and returns what it printed and said in its
// pipe.
func enter(t *testing.T, o Order, env ...string) (out, said string, err error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	o.Master = os.Getpid()
	cmd := exec.Command("/proc/self/exe")
	cmd.ExtraFiles = []*os.File{w}
	cmd.Env = o.Environ(append(os.Environ(), append(env, wire.EnvPipeFD+"=3")...))
	var b strings.Builder
	cmd.Stdout, cmd.Stderr = &b, &b
	err = cmd.Run()
	w.Close()
	buf := make([]byte, 4096)
	n, _ := r.Read(buf)
	return b.String(), string(buf[:n]), err
}

func TestTheAppGetsWhatTheOrderSays(t *testing.T) {
	t.Parallel()
	mask := 0o27
	dir := t.TempDir()
	script := `echo dir=$(pwd) umask=$(umask) core=$(ulimit -c) mine=$([ "$LISTEN_PID" = $$ ] && echo yes) stage=${FUGUE_STAGE:-gone}; grep NoNewPrivs /proc/self/status`
	out, said, err := enter(t, Order{Dir: dir, Umask: &mask, Locked: true, Argv: []string{"sh", "-c", script}})
	if err != nil || said != `{"type":"begun"}`+"\n" {
		t.Fatalf("%v, said %q, printed %q", err, said, out)
	}
	for _, want := range []string{"dir=" + dir, "umask=0027", "core=0", "mine=yes", "stage=gone", "NoNewPrivs:\t1"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
}

// Signals that were ignored where the master was started are not so in the app.
func TestIgnoredSignalsAreReset(t *testing.T) {
	t.Parallel()
	out, _, err := enter(t, Order{Argv: []string{"sh", "-c", "grep -E 'SigIgn|SigBlk' /proc/self/status"}})
	if err != nil || strings.Count(out, "0000000000000000") != 2 {
		t.Errorf("%v: %q", err, out)
	}
}

func TestWhatCannotBeStartedIsSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := dir + "/script"
	if err := os.WriteFile(script, []byte("echo no first line\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		order Order
		want  string
	}{
		"missing":          {Order{Argv: []string{"/no/such/app"}}, "/no/such/app: no such file or directory"},
		"not in PATH":      {Order{Argv: []string{"no-such-app"}}, "no-such-app: executable file not found in $PATH"},
		"no #!":            {Order{Argv: []string{script}}, "#!/bin/sh"},
		"a folder":         {Order{Argv: []string{dir}}, "is a directory"},
		"no such folder":   {Order{Dir: dir + "/gone", Argv: []string{"true"}}, "working_path: chdir"},
		"rights to become": {Order{User: &User{UID: -1, GID: -1, Name: "nobody"}, Argv: []string{"true"}, Dir: "/no"}, "working_path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, said, err := enter(t, c.order)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != failedStatus {
				t.Errorf("ended with %v", err)
			}
			lines := strings.Split(strings.TrimSpace(said), "\n") // it may have begun, and failed then
			m, bad := wire.Parse([]byte(lines[len(lines)-1]))
			if bad != nil || m.Type != wire.Failed || !strings.Contains(m.Reason, c.want) || !strings.Contains(out, c.want) {
				t.Errorf("said %q (%v), printed %q, want %q", said, bad, out, c.want)
			}
		})
	}
}

// A child whose master died before it could ask to be told of that goes.
func TestAStrangersOrderIsRefused(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = Order{Master: os.Getpid() + 1, Argv: []string{"true"}}.Environ(os.Environ())
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the master is gone") {
		t.Errorf("%v: %q", err, out)
	}
}

func TestDropCannotBeUndone(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become someone else")
	}
	script := "grep -E '^(Uid|Gid|Groups|CapEff):' /proc/self/status"
	out, said, err := enter(t, Order{User: &User{UID: 65534, GID: 65534, Groups: []int{65534}, Name: "nobody"}, Dir: "/", Argv: []string{"sh", "-c", script}})
	if err != nil {
		t.Fatalf("%v: %q %q", err, out, said)
	}
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
}

func TestHints(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		syscall.ENOEXEC: "#!", syscall.ETXTBSY: "being written", syscall.EAGAIN: "ulimit -u", syscall.EPERM: "",
	} {
		if got := hint(fmt.Errorf("x: %w", err)); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%v: %q", err, got)
		}
	}
}
