package handover

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestANoteIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	want := Note{Format: Format, Version: "1.2", PID: 7, Image: 9, FDs: []int{3, 4, 5}, Dir: "/a b", Failed: "no\nway", Reply: 4,
		State: json.RawMessage(`{"big":"` + strings.Repeat("x", 5<<20) + `"}`)}
	fd, err := want.Write()
	must(t, err)
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("what else is started inherits it: %#x, %v", flags, err)
	}
	got, err := read(fd)
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("%v: %+v", err, got)
	}
}

func TestANoteThatMakesNoSense(t *testing.T) {
	t.Parallel()
	if fd, err := (Note{State: json.RawMessage("{")}).Write(); err == nil {
		t.Errorf("it was written to %d", fd)
	}
	for text, want := range map[string]string{
		"":                                     "makes no sense",
		"garbage":                              "makes no sense",
		`{"format":1} x`:                       "makes no sense",
		`{"format":0}`:                         "has format 0",
		`{"state":{}}`:                         "has format 0",
		fmt.Sprintf(`{"format":%d}`, Format+1): fmt.Sprintf("has format %d, this version reads up to %d", Format+1, Format),
	} {
		fd, err := memory()
		must(t, err)
		_, err = unix.Write(fd, []byte(text))
		must(t, err)
		if _, err := read(fd); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What the variable names may be anything: who is not sure starts as if there were
// nothing. Each Note asks for a trial, since those are for any process.
func TestAForgedVariableIsIgnored(t *testing.T) {
	t.Parallel()
	trial, err := json.Marshal(Note{Format: Format, Reply: 77, State: json.RawMessage("{}")})
	must(t, err)
	real := memoryOf(t, string(trial))
	named := filepath.Join(t.TempDir(), "note")
	must(t, os.WriteFile(named, trial, 0o600))
	file, err := os.Open(named)
	must(t, err)
	defer file.Close()
	pipe, end, err := os.Pipe()
	must(t, err)
	_, err = end.Write(trial)
	must(t, err)
	must(t, end.Close())
	defer pipe.Close()
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	another := memoryOf(t, fmt.Sprintf(`{"format":1,"pid":%d,"state":{}}`, os.Getpid()))

	for name, c := range map[string]struct {
		fd    string
		is    *os.File
		found bool
	}{
		"as it should be":  {"3", real, true},
		"a named file":     {"3", file, false},
		"a pipe":           {"3", pipe, false},
		"a device":         {"3", null, false},
		"garbage":          {"3", memoryOf(t, "garbage"), false},
		"empty":            {"3", memoryOf(t, ""), false},
		"another process":  {"3", another, false},
		"not open":         {"77", real, false},
		"standard input":   {"0", real, false},
		"negative":         {"-1", real, false},
		"no number":        {"3 ", real, false},
		"too big a number": {fmt.Sprint(uint64(math.MaxUint64)), real, false},
		"nothing":          {"", real, false},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := start("looking", Env+"="+c.fd)
			cmd.Stdin, cmd.ExtraFiles, cmd.Stderr = real, []*os.File{c.is}, os.Stderr
			if out, err := cmd.Output(); err != nil || string(out) != fmt.Sprint(c.found, false) {
				t.Errorf("%v: found, variable left: %s", err, out)
			}
		})
	}
}

// memoryOf is a file without a name that holds text.
func memoryOf(t *testing.T, text string) *os.File {
	t.Helper()
	fd, err := memory()
	must(t, err)
	f := os.NewFile(uintptr(fd), "note")
	t.Cleanup(func() { f.Close() })
	_, err = f.WriteString(text)
	must(t, err)
	return f
}
