package master

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fugue-http/fugue/internal/handover"
)

func tryTrusted(path string) error {
	p, err := openImage(path)
	closeFD(p.FD)
	return err
}

// What root is to execute, nobody else may have put there.
func TestTrusted(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const stranger = 65533
	for name, c := range map[string]struct {
		owner, group int
		mode         os.FileMode
		folderOwner  int
		folderMode   os.FileMode
		why          string
	}{
		"as installed":            {0, 0, 0o755, 0, 0o755, ""},
		"root's group may write":  {0, 0, 0o775, 0, 0o775, ""},
		"another's file":          {stranger, 0, 0o755, 0, 0o755, "app belongs to user 65533: root runs only what root owns; chown it"},
		"all may write":           {0, 0, 0o757, 0, 0o755, "app can be written by others than root: chmod go-w"},
		"a group may write":       {0, stranger, 0o775, 0, 0o755, "app can be written by others"},
		"a sticky file":           {0, 0, 0o757 | os.ModeSticky, 0, 0o755, "app can be written by others"},
		"a group may read":        {0, stranger, 0o755, 0, 0o755, ""},
		"another's folder":        {0, 0, 0o755, stranger, 0o755, "folder belongs to user 65533"},
		"all may write beside it": {0, 0, 0o755, 0, 0o777, "folder can be written by others"},
		"as in /tmp":              {0, 0, 0o755, 0, 0o777 | os.ModeSticky, ""},
		"as in /tmp, by another":  {0, 0, 0o755, stranger, 0o777 | os.ModeSticky, "folder belongs to user 65533"},
		"as in /tmp, another's":   {stranger, 0, 0o755, 0, 0o777 | os.ModeSticky, "app belongs to user 65533"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "folder")
			must(t, os.Mkdir(folder, 0o755))
			path := writeFile(t, filepath.Join(folder, "app"), elf)
			must(t, os.Chown(path, c.owner, c.group))
			must(t, os.Chmod(path, c.mode))
			must(t, os.Chown(folder, c.folderOwner, 0))
			must(t, os.Chmod(folder, c.folderMode))
			err := tryTrusted(path)
			if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
				t.Errorf("%v, want %q", err, c.why)
			}
		})
	}
	for name, c := range map[string]struct {
		path string
		why  string
	}{
		"by a link of root":       {"root's", ""},
		"by another's link":       {"another's", "is a symbolic link that another user (uid 65533) has made"},
		"by a link through links": {"round", "is a symbolic link that another user (uid 65533) has made"},
		"below another's folder":  {"theirs/ours/app", "theirs belongs to user 65533"},
		"by a link into it":       {"inside", "theirs belongs to user 65533"},
		"by a link up":            {"up", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			in := func(name string) string { return filepath.Join(dir, name) }
			must(t, os.MkdirAll(in("theirs/ours"), 0o755))
			for _, path := range []string{in("app"), in("theirs/ours/app")} {
				writeFile(t, path, elf)
			}
			must(t, os.Lchown(in("theirs"), stranger, 0))
			for link, to := range map[string]string{"root's": "app", "another's": in("app"), "round": "again", "again": "another's",
				"inside": "theirs/ours/app", "up": "../" + filepath.Base(dir) + "/app"} {
				must(t, os.Symlink(to, in(link)))
			}
			must(t, os.Lchown(in("another's"), stranger, 0))
			err := tryTrusted(in(c.path))
			if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
				t.Errorf("%v, want %q", err, c.why)
			}
		})
	}
	if err := tryTrusted("/no/such/file"); err == nil || !strings.Contains(err.Error(), "/no/such/file: no such file") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// The name that the program was started by is followed, but only if it led to it.
func TestBinaryPath(t *testing.T) {
	name, self := os.Args[0], binaryPath("/")
	defer func() { os.Args[0] = name }()
	if !filepath.IsAbs(self) || !sameFile(self, "/proc/self/exe") {
		t.Fatalf("it is at %q", self)
	}
	dir := t.TempDir()
	current := filepath.Join(dir, "current")
	must(t, os.Symlink(self, current))
	t.Setenv("PATH", dir)
	other := writeFile(t, filepath.Join(dir, "other"), elf)
	for given, want := range map[string]string{current: current, "current": current, other: self, "other": self, "no-such-program": self, "": self} {
		os.Args[0] = given
		if got := binaryPath("/"); got != want {
			t.Errorf("started as %q it is at %q, want %q", given, got, want)
		}
	}
}

// What passes is what is executed: whatever is put under its name later is not. A
// script has no other way to be run.
func TestTheImageIsHeld(t *testing.T) {
	t.Parallel()
	path := writeFile(t, filepath.Join(t.TempDir(), "app"), elf)
	p, err := openImage(path)
	must(t, err)
	defer closeFD(p.FD)
	must(t, os.Rename(path, path+".old"))
	writeFile(t, path, elf)
	if p.Path != path || p.FD < handover.LowestFD || !isFile(t, p.FD, path+".old") {
		t.Errorf("it is %+v", p)
	}
	writeFile(t, path, "#!/bin/sh\n")
	if p, err := openImage(path); err != nil || p.FD >= 0 || p.Path != path {
		t.Errorf("a script is %+v, %v", p, err)
	}
}

// A daemon has left the folder that its relative name starts from.
func TestBinaryPathFromTheStart(t *testing.T) {
	name, self := os.Args[0], binaryPath("/")
	defer func() { os.Args[0] = name }()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	must(t, os.Symlink(self, filepath.Join(dir, "bin", "current")))
	for given, want := range map[string]string{"bin/current": filepath.Join(dir, "bin", "current"), "./bin/../bin/current": filepath.Join(dir, "bin", "current"), "bin/other": self} {
		os.Args[0] = given
		if got := binaryPath(dir); got != want {
			t.Errorf("started as %q in %s it is at %q, want %q", given, dir, got, want)
		}
		if got := binaryPath(""); got != self {
			t.Errorf("started as %q nobody knows where, it is at %q, want %q", given, got, self)
		}
	}
}

func TestSameFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := writeFile(t, filepath.Join(dir, "a"), elf)
	b := writeFile(t, filepath.Join(dir, "b"), elf)
	hard, soft := filepath.Join(dir, "hard"), filepath.Join(dir, "soft")
	must(t, os.Link(a, hard))
	must(t, os.Symlink("a", soft))
	for name, want := range map[string]bool{a: true, hard: true, soft: true, b: false, dir: false, dir + "/none": false} {
		if sameFile(a, name) != want || sameFile(name, a) != want {
			t.Errorf("%s: want %v", name, want)
		}
	}
}
