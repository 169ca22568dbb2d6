package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What a pid file's number says does not matter, the lock does: a stale one is no
// obstacle, and no stranger is ever signalled (F42).
func TestStalePIDFile(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"dead":           "4194305\n",
		"living process": strconv.Itoa(os.Getpid()) + "\n", // a signal would end this test
		"process 1":      "1\n",
		"empty":          "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := place(t, "workers = 1\nmaster_pid_path = \"master.pid\"\n"+app())
			path := filepath.Join(dir, "master.pid")
			put(t, path, text)
			s := again(t, dir)
			s.waitReady()
			if got := strings.TrimSpace(readAll(t, path)); got != strconv.Itoa(s.pid) {
				t.Errorf("the pid file says %q", got)
			}
			s.signal(syscall.SIGTERM)
			s.ends(0)
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("the pid file is left (%v)", err)
			}
		})
	}
}

// What does not look like a pid file may be precious: refused, and left (F42).
func TestNoPIDFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		code       int
		make       func(path string) error
	}{
		{"garbage", "does not look like a pid file", 1, func(p string) error { return os.WriteFile(p, []byte("dear diary\n"), 0o644) }},
		{"1 MB", "does not look like a pid file", 1, func(p string) error { return os.WriteFile(p, make([]byte, 1<<20), 0o644) }},
		{"fifo", "not a regular file", 1, func(p string) error { return syscall.Mkfifo(p, 0o644) }},
		{"link", "symbolic link", 1, func(p string) error { return os.Symlink("/etc/passwd", p) }},
		{"folder", "is a folder", 1, func(p string) error { return os.Mkdir(p, 0o755) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, _ := place(t, "workers = 1\nmaster_pid_path = \"master.pid\"\n"+app())
			path := filepath.Join(dir, "master.pid")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			s := again(t, dir)
			s.unclean = true
			s.ends(c.code)
			s.says(c.want)
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) || before.Size() != after.Size() {
				t.Errorf("it is not what it was (%v)", err)
			}
		})
	}
}

// The pid file is deleted, or replaced by another's, while the server runs: the
// control socket still works, and at the end only its own file is removed (F43).
func TestPIDFileGoesAway(t *testing.T) {
	t.Parallel()
	for _, replaced := range []bool{false, true} {
		t.Run(fmt.Sprintf("replaced=%v", replaced), func(t *testing.T) {
			t.Parallel()
			s := start(t, "workers = 1\nmaster_pid_path = \"master.pid\"\n"+app())
			path := filepath.Join(s.dir, "master.pid")
			remove(t, path)
			if replaced {
				put(t, path, "1\n")
			}
			s.post("/scale", `{"workers":2}`)
			s.waitWorkers(2)
			s.post("/stop", `{}`)
			s.ends(0)
			if _, err := os.Lstat(path); replaced != (err == nil) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
