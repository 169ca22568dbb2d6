package handover

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is far more than a good program needs on a busy machine.
const patience = time.Minute

// self is this binary, which plays the new image.
const self = "/proc/self/exe"

func trialNote() Note {
	return Note{Format: Format, Version: "1.0", PID: os.Getpid(), State: json.RawMessage(`"it"`)}
}

func TestTry(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text")
	must(t, os.WriteFile(text, []byte("no program\n"), 0o755))
	tooNew := trialNote()
	tooNew.Format = Format + 1
	for name, c := range map[string]struct {
		path    string
		args    []string
		note    Note
		version string
		err     string // a part of it, "=" the whole
	}{
		"good":          {self, play("good"), trialNote(), `2.0 of "it" after 1.0`, ""},
		"faulty":        {self, play("faulty"), trialNote(), "", "=no such user: www"},
		"wordy":         {self, play("wordy"), trialNote(), "", "\x01ü\x01ü"},
		"format":        {self, play("good"), tooNew, "", fmt.Sprintf("=the handover has format %d, this version reads up to %d", Format+1, Format)},
		"crashing":      {self, play("crashing"), trialNote(), "", "it does not say that it could take over; exit status 1; panic: no flag -x; usage: …"},
		"answers not":   {"/bin/true", []string{"true"}, trialNote(), "", "=/bin/true: it does not say that it could take over; exit status 0"},
		"killed":        {"/bin/sh", []string{"sh", "-c", "kill -SEGV $$"}, trialNote(), "", "take over; ended by SIGSEGV"},
		"nonsense":      {"/bin/sh", []string{"sh", "-c", "echo hello >&4"}, trialNote(), "", "it does not say that it could take over"},
		"missing":       {text + "s", nil, trialNote(), "", "=" + text + "s: no such file or directory"},
		"a folder":      {filepath.Dir(text), nil, trialNote(), "", "permission denied"},
		"not a program": {text, nil, trialNote(), "", "exec format error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			version, err := Try(t.Context(), Named(c.path), c.args, c.note, patience)
			if version != c.version {
				t.Errorf("version %q, want %q", version, c.version)
			}
			wantError(t, err, c.err)
		})
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	whole, exact := strings.CutPrefix(want, "=")
	switch {
	case want == "" && err == nil:
	case err == nil, want == "", exact && err.Error() != whole, !strings.Contains(err.Error(), whole):
		t.Errorf("got %.300v, want %q", err, want)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path string
		args []string
		err  string
	}{
		"good":       {"/bin/true", []string{"true"}, ""},
		"bad":        {"/bin/false", []string{"false"}, "=/bin/false: exit status 1"},
		"speaks":     {"/bin/sh", []string{"sh", "-c", "echo one; echo; echo two >&2; exit 2"}, "=/bin/sh: exit status 2; one; two"},
		"talks":      {"/bin/sh", []string{"sh", "-c", "seq 100000; exit 2"}, "99999; 100000"},
		"killed":     {"/bin/sh", []string{"sh", "-c", "kill -KILL $$"}, "=/bin/sh: ended by SIGKILL"},
		"missing":    {"/no/such/program", nil, "=/no/such/program: no such file or directory"},
		"reads":      {"/bin/cat", []string{"cat"}, ""},
		"the folder": {"/bin/sh", []string{"sh", "-c", "pwd; exit 2"}, "=/bin/sh: exit status 2; /tmp"},
		"no trial":   {"/bin/sh", []string{"sh", "-c", `test -z "$FUGUE_HANDOVER" && ! test -e /proc/$$/fd/3`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, Check(t.Context(), Named(c.path), c.args, "/tmp", patience), c.err)
		})
	}
}

// Both kinds of trial, of a program that ends, late or never, or leaves something
// behind.
func bothWays(t *testing.T, test func(t *testing.T, run func(args []string, limit time.Duration) (string, error))) {
	t.Run("Try", func(t *testing.T) {
		t.Parallel()
		test(t, func(args []string, limit time.Duration) (string, error) {
			return Try(t.Context(), Named(self), args, trialNote(), limit)
		})
	})
	t.Run("Check", func(t *testing.T) {
		t.Parallel()
		test(t, func(args []string, limit time.Duration) (string, error) {
			return "", Check(t.Context(), Named(self), args, "", limit)
		})
	})
}

func TestWhoIsLateIsKilledWithItsGroup(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, run func([]string, time.Duration) (string, error)) {
		path := filepath.Join(t.TempDir(), "fifo")
		must(t, unix.Mkfifo(path, 0o600))
		fifo, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		must(t, err)
		defer fifo.Close()
		for limit := time.Second; ; limit *= 2 { // on a busy machine it may not even have begun
			began := time.Now()
			_, err := run(play("late", path), limit)
			wantError(t, err, "has not ended within "+limit.String())
			if took := time.Since(began); took < limit || took > limit+patience/2 {
				t.Errorf("it took %s, with a limit of %s", took, limit)
			}
			if err == nil || strings.Contains(err.Error(), "sleeps") {
				break
			}
		}
		must(t, fifo.SetReadDeadline(time.Now().Add(patience)))
		if _, err := fifo.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("what it has started lives on: %v", err)
		}
	})
}

// What a program has left running in its group goes when it has ended.
func TestWhatATrialLeavesBehindIsKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	must(t, unix.Mkfifo(path, 0o600))
	fifo, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	must(t, err)
	defer fifo.Close()
	wantError(t, Check(t.Context(), Named("/bin/sh"), []string{"sh", "-c", `exec 9>"$0"; sleep 60 >/dev/null 2>&1 & exit 0`, path}, "", patience), "")
	must(t, fifo.SetReadDeadline(time.Now().Add(patience/2)))
	if _, err := fifo.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("it lives on: %v", err)
	}
}

func TestWhoLeavesItsGroupIsKilledToo(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, run func([]string, time.Duration) (string, error)) {
		for limit := time.Second; ; limit *= 2 {
			_, err := run(play("leaving"), limit)
			wantError(t, err, "has not ended within "+limit.String())
			if err == nil || strings.Contains(err.Error(), "left") {
				break
			}
		}
	})
}

// Whoever holds the pipes open that a trial was given does not hold it up.
func TestWhoIsLeftBehindHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]bool{"answer": true, "none": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			version, err := Try(t.Context(), Named(self), play("hoarding", name), trialNote(), patience)
			said := version
			if !answers {
				wantError(t, err, "it does not say that it could take over; exit status 0; sleeper")
				said = fmt.Sprint(err)
			} else if err != nil {
				t.Error(err)
			}
			stillRuns(t, said)
		})
	}
	t.Run("Check", func(t *testing.T) {
		t.Parallel()
		err := Check(t.Context(), Named("/bin/sh"), []string{"sh", "-c", "setsid sleep 60 & echo sleeper $!; exit 1"}, "", patience)
		wantError(t, err, "exit status 1; sleeper")
		stillRuns(t, fmt.Sprint(err))
	})
}

// stillRuns says that the sleeper had not just ended by then, and ends it.
func stillRuns(t *testing.T, said string) {
	t.Helper()
	_, number, _ := strings.Cut(said, "sleeper ")
	pid, err := strconv.Atoi(number)
	must(t, err)
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Errorf("the sleeper, %d: %v", pid, err)
	}
}

// It is not parallel: descriptors are counted.
func TestATrialLeavesNothingOpen(t *testing.T) {
	try := func() {
		_, _ = Try(t.Context(), Named("/bin/true"), []string{"true"}, trialNote(), patience)
		_, _ = Try(t.Context(), Named("/no/such/program"), nil, trialNote(), patience)
		_ = Check(t.Context(), Named("/bin/false"), []string{"false"}, "", patience)
		_ = Check(t.Context(), Named("/no/such/program"), nil, "", patience)
		_, _ = Try(t.Context(), Named("/bin/true"), nil, Note{State: json.RawMessage("{")}, patience)
	}
	try() // the runtime opens some of its own
	before := openFiles()
	try()
	if after := openFiles(); after != before {
		t.Errorf("%d descriptors were open, now %d", before, after)
	}
}

// Without a trial and a Note nothing of it does anything.
func TestNothingToAnswer(t *testing.T) {
	t.Parallel()
	Answer(nil)
	Back(fmt.Errorf("nowhere to go"))
	here, err := os.Getwd()
	must(t, err)
	if dir, err := Dir(); err != nil || dir != here || Trial() || Pending() != nil || Taken() != nil {
		t.Errorf("dir %s, %v, trial %v, pending %v", dir, err, Trial(), Pending())
	}
}
