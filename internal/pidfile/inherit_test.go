package pidfile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The process becomes another program: nobody can get in between, and the file
// is still its own to remove.
func TestALockSurvivesAnExecInPlace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holderPath+"="+path, holderExec+"=yes")
	stdin, said := start(t, cmd)
	if said != "inherited" {
		t.Fatal(said)
	}
	wantRefusal(t, path, fmt.Sprintf("held by process %d", cmd.Process.Pid))
	wantContent(t, path, fmt.Sprintln(cmd.Process.Pid))
	stdin.Close()
	must(t, cmd.Wait())
	wantFiles(t, filepath.Dir(path))
}

func TestInheritTakesOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	first := acquired(t, path, 77)
	fd, err := unix.Dup(first.FD()) // the same description, as after an exec
	must(t, err)
	f, err := Inherit(first.Path(), fd)
	must(t, err)
	if f.Path() != path || f.FD() != fd {
		t.Errorf("path %q, descriptor %d, want %q and %d", f.Path(), f.FD(), path, fd)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
		t.Errorf("descriptor flags %#x (%v), want close-on-exec", flags, err)
	}
	first.file.Close() // the lock outlives all but the last descriptor
	wantRefusal(t, path, "held by process 77")
	must(t, f.Remove())
	wantFiles(t, filepath.Dir(path))
}

func TestInheritRefusesWhatIsNotTheLockedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	acquired(t, path, 77)
	other, err := os.Open(path) // the file, but not the description
	must(t, err)
	defer other.Close()
	dir, err := os.Open(filepath.Dir(path))
	must(t, err)
	defer dir.Close()
	for _, tc := range []struct {
		name, want string
		fd         int
	}{
		{"closed", "is not open", 1 << 30},
		{"negative", "is not open", -1},
		{"folder", "is not a regular file", int(dir.Fd())},
		{"another description", "does not hold the lock, another does", int(other.Fd())},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := fmt.Sprintf("pid file %s: descriptor %d %s", path, tc.fd, tc.want)
			if _, err := Inherit(path, tc.fd); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
	if _, err := other.Stat(); err != nil {
		t.Errorf("what was refused was closed: %v", err)
	}
}
