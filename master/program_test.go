package master

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// elf is all that tells a binary from a script here.
const elf = "\x7fELF and so on"

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// isFile says that fd was opened on the file at path.
func isFile(t *testing.T, fd int, path string) bool {
	t.Helper()
	var open, there unix.Stat_t
	must(t, unix.Fstat(fd, &open))
	must(t, unix.Stat(path, &there))
	return open.Dev == there.Dev && open.Ino == there.Ino
}

// Only what can be run without its name is kept open, and looking at it waits for
// nobody.
func TestOpenBinary(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, unix.Mkfifo(in("fifo"), 0o755))
	must(t, os.Symlink(writeFile(t, in("binary"), elf), in("link")))
	for path, want := range map[string]error{
		in("binary"): nil,
		in("link"):   nil,
		writeFile(t, in("script"), "#!/bin/sh\n"): errNoBinary,
		writeFile(t, in("short"), "\x7fEL"):       errNoBinary,
		writeFile(t, in("empty"), ""):             errNoBinary,
		in("fifo"):                                errNoBinary,
		dir:                                       errNoBinary,
		os.DevNull:                                errNoBinary,
		in("missing"):                             fs.ErrNotExist,
		filepath.Join(in("binary"), "not a folder"): unix.ENOTDIR,
	} {
		fd, err := openBinary(path)
		if !errors.Is(err, want) || (err == nil) != (fd >= 0) {
			t.Errorf("%s: %d, %v, want %v", path, fd, err, want)
		}
		if err != nil {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 || !isFile(t, fd, path) {
			t.Errorf("%s: flags %#x, %v", path, flags, err)
		}
		_ = unix.Close(fd)
	}
}

func TestOpenProgram(t *testing.T) {
	t.Parallel()
	script := writeFile(t, filepath.Join(t.TempDir(), "script"), "#!/bin/sh\n")
	for name, c := range map[string]struct {
		app    App
		failed bool
	}{
		"nothing to keep":  {App{}, false},
		"a foreign script": {App{Path: script}, false}, // it is found by its name at each start
		"a foreign nobody": {App{Path: "/no/such/app"}, false},
		"no script of us":  {App{Path: script, Self: true}, true},
		"we are gone":      {App{Path: "/no/such/app", Self: true}, true},
	} {
		if p, err := openProgram(c.app); p.fd != -1 || p.proven || (err != nil) != c.failed {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// Until one of its workers has been ready, a program is looked for at each start: a
// deploy that is mended is found. What has worked is kept.
func TestRefresh(t *testing.T) {
	t.Parallel()
	path := writeFile(t, filepath.Join(t.TempDir(), "app"), elf)
	p, err := openProgram(App{Path: path})
	must(t, err)
	defer p.close()
	deploy := func(text string) {
		t.Helper()
		must(t, os.Rename(path, path+".old"))
		writeFile(t, path, text)
	}
	p.refresh()
	if !isFile(t, p.fd, path) {
		t.Error("it is not the file that is there")
	}
	deploy(elf)
	p.refresh()
	if !isFile(t, p.fd, path) {
		t.Error("it is not the new file, though the old one has never worked")
	}
	p.proven = true
	deploy(elf)
	p.refresh()
	if !isFile(t, p.fd, path+".old") {
		t.Error("what has worked is not kept")
	}
	p.proven = false
	deploy("#!/bin/sh\n")
	p.refresh()
	if p.fd < 0 {
		t.Error("for a script nothing is kept")
	}
	p.close()
	p.close()
	none := program{fd: -1}
	if none.refresh(); none.fd != -1 {
		t.Errorf("a program without a path has become %d", none.fd)
	}
}
