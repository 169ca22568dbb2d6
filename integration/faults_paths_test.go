package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// The settings file has become something else: refused with status 2, without
// waiting for a writer or reading for ever (F74).
func TestSettingsFileIsNoFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		make       func(path string) error
	}{
		{"fifo", "unicorn.toml", func(p string) error { return syscall.Mkfifo(p, 0o644) }},
		{"folder", "unicorn.toml", func(p string) error { return os.Mkdir(p, 0o755) }},
		{"device", "unicorn.toml", func(p string) error { return os.Symlink("/dev/zero", p) }},
		{"huge", "unicorn.toml", func(p string) error { // sparse
			f, err := os.Create(p)
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Truncate(1 << 30)
		}},
		{"missing", "unicorn.toml", func(string) error { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			if err := c.make(filepath.Join(dir, "unicorn.toml")); err != nil {
				t.Fatal(err)
			}
			s := again(t, dir)
			s.ends(2)
			s.says(c.want)
		})
	}
}

// working_path is a symbolic link that a deploy re-points: the next worker works
// in the new folder. With the link gone there is a clear message, and it heals (F75).
func TestWorkingPathIsRepointed(t *testing.T) {
	t.Parallel()
	dir, _ := place(t, "workers = 1\nworking_path = \"current\"\n"+app())
	for _, name := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "current")
	point := func(to string) {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	point("one")
	s := again(t, dir)
	s.waitReady()
	s.worksIn(filepath.Join(dir, "one"))
	remove(t, link)
	point("two")
	first := pids(s.status())[1]
	kill(t, first, syscall.SIGKILL)
	second := s.replaced(1, first)
	s.worksIn(filepath.Join(dir, "two"))
	remove(t, link)
	kill(t, second, syscall.SIGKILL)
	s.log.wait(t, "working_path: chdir "+link+": no such file or directory", s.exited)
	point("one")
	s.replaced(1, second)
	s.worksIn(filepath.Join(dir, "one"))
}

func (s *server) worksIn(want string) {
	s.t.Helper()
	got, err := os.Readlink("/proc/" + s.get("/pid") + "/cwd")
	if err != nil || got != want {
		s.t.Errorf("the worker works in %s, not %s (%v)", got, want, err)
	}
}

// The folder it was started from is removed while it runs: nobody needs it.
func TestStartedFromARemovedFolder(t *testing.T) {
	t.Parallel()
	dir, file := place(t, "workers = 1\n"+app())
	from := folder(t)
	cmd := exec.Command(programs.fugue, "-c", file)
	cmd.Dir = from
	s := launchCommand(t, dir, cmd)
	s.waitReady()
	remove(t, from)
	first := pids(s.status())[1]
	kill(t, first, syscall.SIGKILL)
	s.replaced(1, first)
	s.get("/pid")
}
