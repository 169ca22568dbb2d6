package master

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLogFollowsOnlyTrustedLinks: who owns the folder of a log file must not make
// root append to another file.
func TestLogFollowsOnlyTrustedLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "target.log")
	link := func(name, to string, uid int) string {
		path := filepath.Join(dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(path, uid, -1); err != nil {
			t.Skip("only root can give files away:", err)
		}
		return path
	}
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	me, stranger := os.Geteuid(), 65533
	mine := link("mine", "target.log", me)
	link("up", "../"+filepath.Base(dir)+"/./a", me)
	theirs := link("theirs", "target.log", stranger)
	link("theirFolder", "a", stranger)
	around := link("around", theirs, me)
	loop := link("loop", "loop", me)

	for path, refused := range map[string]string{
		target: "", mine: "", filepath.Join(dir, "up", "b", "x.log"): "", "/dev/null": "",
		theirs: "theirs is a symbolic link", around: "theirs is a symbolic link",
		filepath.Join(dir, "theirFolder", "x.log"): "theirFolder is a symbolic link",
		loop:                           "too many",
		filepath.Join(dir, "no", "x"):  "folder does not exist",
		dir:                            "is a directory",
		filepath.Join(target, "x.log"): "not a directory",
	} {
		fd, _, err := openLog(path)
		if refused == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), refused) {
			t.Errorf("%s: %v, want an error with %q", path, err, refused)
		}
		if err == nil {
			flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s: workers would inherit it", path)
			}
			_ = unix.Close(fd)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a", "x.log")); err == nil {
		t.Error("a file was made behind the link of a stranger")
	}
	if _, err := os.Stat(filepath.Join(dir, "a", "b", "x.log")); err != nil {
		t.Error(err)
	}
}

// TestLogThroughProc: images link a log file to /dev/stdout, which leads to a link
// of the kernel.
func TestLogThroughProc(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var p [2]int
	if err := pipe(&p); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	for name, to := range map[string]string{"self": "/proc/self/fd/" + strconv.Itoa(p[1]), "dev": "/dev/fd/" + strconv.Itoa(p[1])} {
		path := filepath.Join(dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		fd, fifo, err := openLog(path)
		if err != nil || !fifo {
			t.Errorf("%s: FIFO %v, %v", to, fifo, err)
			continue
		}
		_ = unix.Close(fd)
	}
}
