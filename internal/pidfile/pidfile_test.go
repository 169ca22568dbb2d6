package pidfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAcquireReplacesStaleFiles(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, content string }{
		{"empty", ""},
		{"pid of a dead process", "4194304\n"},
		{"pid without newline", "4194304"},
		{"own pid, recycled", fmt.Sprintln(os.Getpid())},
		{"pid of a living stranger", fmt.Sprintln(os.Getppid())},
		{"pid 1", "1\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "pid")
			write(t, path, tc.content)
			f := acquired(t, path, 77)
			wantContent(t, path, "77\n")
			if err := f.Remove(); err != nil {
				t.Fatal(err)
			}
			wantFiles(t, filepath.Dir(path))
		})
	}
}

func TestAcquireRefusesWhatIsNoPidFile(t *testing.T) {
	t.Parallel()
	content := func(s string) func(*testing.T, string) {
		return func(t *testing.T, path string) { write(t, path, s) }
	}
	for _, tc := range []struct {
		name, want string
		make       func(*testing.T, string)
	}{
		{"garbage", "does not look like a pid file", content("[daemon]\n")},
		{"a number and more", "does not look like a pid file", content("1\nx")},
		{"negative number", "does not look like a pid file", content("-1\n")},
		{"only a newline", "does not look like a pid file", content("\n")},
		{"21 digits", "does not look like a pid file", content(strings.Repeat("0", 21))},
		{"1 MB", "does not look like a pid file", content(strings.Repeat("1", 1<<20))},
		{"folder", "not a regular file", func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)) }},
		{"FIFO", "not a regular file", func(t *testing.T, path string) { must(t, unix.Mkfifo(path, 0o644)) }},
		{"dangling link", "symbolic link", func(t *testing.T, path string) { must(t, os.Symlink("nowhere", path)) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "pid")
			tc.make(t, path)
			before, _ := os.Lstat(path)
			wantRefusal(t, path, tc.want)
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) || before.Size() != after.Size() {
				t.Errorf("the file did not stay as it was: %v, %v", after, err)
			}
			wantFiles(t, filepath.Dir(path), "pid")
		})
	}
}

func TestAcquireLeavesTheVictimOfALinkAlone(t *testing.T) {
	t.Parallel()
	for name, link := range map[string]func(old, new string) error{"symbolic": os.Symlink, "hard": os.Link} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "pid")
			write(t, victim, "precious\n")
			must(t, link(victim, path))
			wantRefusal(t, path, "")
			wantContent(t, victim, "precious\n")
		})
	}
}

// A hard link to a file that does look like a pid file: only the name is taken.
func TestAcquireNeverWritesIntoAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	victim, path := filepath.Join(dir, "victim"), filepath.Join(dir, "pid")
	write(t, victim, "123\n")
	must(t, os.Link(victim, path))
	acquired(t, path, 77)
	wantContent(t, victim, "123\n")
	wantContent(t, path, "77\n")
}

func TestAcquireRefusesAHeldFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	acquired(t, path, 77)
	before, _ := os.Lstat(path)
	_, err := Acquire(path, 78)
	held, ok := errors.AsType[*HeldError](err)
	if !ok || held.PID != 77 || held.Path != path {
		t.Errorf("got %v, want a HeldError with pid 77", err)
	}
	if after, _ := os.Lstat(path); !os.SameFile(before, after) {
		t.Error("the holder's file was replaced")
	}
	wantContent(t, path, "77\n")
}

func TestHeldErrorSaysByWhom(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"pid file /x: held by process 7":       &HeldError{Path: "/x", PID: 7},
		"pid file /x: held by another process": &HeldError{Path: "/x"},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

func TestAcquireRefusesAMissingFolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none", "pid")
	wantRefusal(t, path, "pid file "+path+": the folder "+filepath.Dir(path)+" does not exist")
}

func TestTheFileIsReadableByAllAndNotInherited(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	f := acquired(t, path, 77)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode() != 0o644 {
		t.Errorf("mode %v, want 0644", info.Mode())
	}
	flags, err := unix.FcntlInt(uintptr(f.FD()), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x (%v), want close-on-exec", flags, err)
	}
}

func TestOneOfManyStartersWins(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, string){
		"no file":    func(*testing.T, string) {},
		"stale file": func(t *testing.T, path string) { write(t, path, "4194304\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "pid")
			prepare(t, path)
			won := race(t, 50, path)
			if len(won) != 1 {
				t.Fatalf("%d starters won: %v", len(won), won)
			}
			wantContent(t, path, fmt.Sprintln(won[0]))
			wantFiles(t, filepath.Dir(path), "pid")
		})
	}
}

// race lets n starters acquire path at once and returns those that won.
func race(t *testing.T, n int, path string) (won []int) {
	start, results := make(chan struct{}), make(chan int, n)
	var all sync.WaitGroup
	for pid := 1; pid <= n; pid++ {
		all.Go(func() {
			<-start
			f, err := Acquire(path, pid)
			if err == nil {
				t.Cleanup(func() { f.Remove() })
				results <- pid
			} else if _, held := errors.AsType[*HeldError](err); !held {
				t.Errorf("starter %d: %v", pid, err)
			}
		})
	}
	close(start)
	all.Wait()
	close(results)
	for pid := range results {
		won = append(won, pid)
	}
	return won
}

// Whoever acquires is alone, though others come and go all the time.
func TestOnlyOneHolderAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	holder := make(chan struct{}, 1)
	var all sync.WaitGroup
	for pid := 1; pid <= 8; pid++ {
		all.Go(func() {
			for range 50 {
				f, err := Acquire(path, pid)
				if err != nil {
					continue
				}
				select {
				case holder <- struct{}{}:
					<-holder
				default:
					t.Error("two hold the file at once")
				}
				if err := f.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	wantFiles(t, filepath.Dir(path))
}

// Two starters that both found no file: the second one must look again.
func TestTheFirstFileAtAnEmptyPathStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	first, err := put(path, 1, nil)
	must(t, err)
	defer first.Remove()
	if _, err := put(path, 2, nil); !errors.Is(err, errMoved) {
		t.Errorf("got %v, want %v", err, errMoved)
	}
	wantContent(t, path, "1\n")
	wantFiles(t, filepath.Dir(path), "pid")
}

// A file that left the path after it was opened says nothing about the path,
// neither when its lock is free nor when it is held.
func TestAFileThatWasReplacedMeanwhileDoesNotCount(t *testing.T) {
	t.Parallel()
	for name, locked := range map[string]bool{"free": false, "held": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "pid")
			old := acquired(t, path, 1)
			opened, err := openPlain(path)
			must(t, err)
			defer opened.Close()
			must(t, os.Remove(path))
			if !locked {
				must(t, old.Remove())
			}
			acquired(t, path, 2)
			if err := lockOrHeld(opened, path); !errors.Is(err, errMoved) {
				t.Errorf("got %v, want %v", err, errMoved)
			}
		})
	}
}
