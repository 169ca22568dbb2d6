package handover

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// allFacts are those that cmd tells until it ends, always with the same pid.
func allFacts(t *testing.T, cmd *exec.Cmd, each func(facts)) (all []facts) {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var f facts
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Errorf("it said %q", lines.Text())
		}
		if f.PID != cmd.Process.Pid {
			t.Errorf("process %d tells, not %d", f.PID, cmd.Process.Pid)
		}
		all = append(all, f)
		each(f)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	return all
}

// The next image finds all there was, and so does the old one that it goes back to;
// signals that ask for a reload end nobody at any moment.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	cmd := startLimited(321, "round")
	h := &harasser{done: make(chan struct{})}
	defer h.stop()
	all := allFacts(t, cmd, func(f facts) {
		switch {
		case f.Rounds == allRounds: // it may be reaped soon, and its number given to somebody else
			h.stop()
		case f.Failed == "" && !f.Waits:
			h.start(cmd.Process.Pid)
		}
	})
	if len(all) != 1+2*allRounds {
		t.Fatalf("%d images told %+v", len(all), all)
	}
	here, err := os.Getwd()
	must(t, err)
	for i, f := range all {
		want := facts{PID: f.PID, Comm: "exe", Dir: "/first", Word: "word", Open: f.Open, Limit: "321", Waits: i%2 == 1}
		switch {
		case i == 0:
			want.Dir = here
		case i%2 == 0:
			want.Failed, want.Rounds = "nothing fits", i/2
		}
		if !reflect.DeepEqual(f, want) {
			t.Errorf("image %d found %+v, want %+v", i, f, want)
		}
		if i > 2 && f.Open != all[i-2].Open {
			t.Errorf("image %d has %d descriptors, the one before the last %d", i, f.Open, all[i-2].Open)
		}
	}
}

// harasser sends all signals that ask for a reload, without a pause.
type harasser struct {
	done chan struct{}
	work sync.WaitGroup
	once sync.Once
}

func (h *harasser) start(pid int) {
	h.work.Go(func() {
		for {
			for _, s := range []unix.Signal{unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH} {
				select {
				case <-h.done:
					return
				default:
					_ = unix.Kill(pid, s)
				}
			}
		}
	})
}

func (h *harasser) stop() {
	h.once.Do(func() { close(h.done) })
	h.work.Wait()
}

func TestTheWatchdogGoesBack(t *testing.T) {
	t.Parallel()
	all := allFacts(t, start("slow"), func(facts) {})
	if len(all) != 1 || !strings.Contains(all[0].Failed, "has not taken over within 200ms") || all[0].Comm != "fugue-image" {
		t.Errorf("told %+v", all)
	}
}

func TestNoWayBackOnceTaken(t *testing.T) {
	t.Parallel()
	if all := allFacts(t, start("quick"), func(facts) {}); len(all) != 1 || all[0].Failed != "" || all[0].Waits {
		t.Errorf("told %+v", all)
	}
}

func TestAnImageThatCannotReadTheNoteGoesBack(t *testing.T) {
	t.Parallel()
	if out, err := start("newer").CombinedOutput(); err != nil || string(out) != "play newer\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// Whoever cannot be executed leaves everything as it was.
func TestAFailedExecIsTakenBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	busy, data, text := filepath.Join(dir, "busy"), filepath.Join(dir, "data"), filepath.Join(dir, "text")
	copyFile(t, "/bin/true", busy, 0o755)
	copyFile(t, "/bin/true", data, 0o644)
	must(t, os.WriteFile(text, []byte("no program\n"), 0o755))
	writing, err := os.OpenFile(busy, os.O_WRONLY, 0)
	must(t, err)
	defer writing.Close()

	cmd := startLimited(321, "refused", filepath.Join(dir, "missing"), busy, data, text, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	var got []refusal
	must(t, json.Unmarshal(out, &got))
	want := []string{"no such file", "text file busy (the file is being written)", "permission denied", "exec format error",
		"permission denied", "descriptor 99: bad file descriptor", "a stop was asked for"}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i, r := range got {
		if !strings.Contains(r.Err, want[i]) || r.Changed != "" {
			t.Errorf("want %q, got %q", want[i], r)
		}
	}
	if last := got[len(got)-1].Err; last != want[len(want)-1] {
		t.Errorf("what Last says has become %q", last)
	}
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	text, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, text, mode))
}

// No signal is lost between two images, in either direction, save those that come
// in the moment in which the runtime starts.
func TestSignalsAreHandedOver(t *testing.T) {
	t.Parallel()
	cmd := start("signals")
	out, err := cmd.Output()
	// HUP, INT, USR1, USR2, TERM, TTIN, TTOU, WINCH
	if err != nil || string(out) != "1,2,10,12,15,21,22,28" && runtime.GOARCH == "amd64" {
		t.Errorf("%q, %v", out, err)
	}
}

// A variable that names no note leaves a program's signals alone.
func TestAForgedVariableCatchesNothing(t *testing.T) {
	t.Parallel()
	cmd := start("looking", Env+"=0", EnvSignals+"=15")
	out, err := cmd.Output()
	if err != nil || string(out) != "false false" {
		t.Errorf("%q, %v", out, err)
	}
	if got := parseSignals("15,,x,9,1,-1,99999999999,21"); !slices.Equal(got, []syscall.Signal{15, 1, 21}) && runtime.GOARCH == "amd64" {
		t.Errorf("%v", got)
	}
}
