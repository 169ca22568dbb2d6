package sockets

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestListenUnix(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	l := listen(t, "unix:"+path, once)
	wantFlags(t, l.FD())
	if l.Address() != "unix:"+path || l.Adopted() || !l.Reachable() {
		t.Errorf("address %q, adopted %v, reachable %v", l.Address(), l.Adopted(), l.Reachable())
	}
	if mode := lstat(t, path).Mode(); mode != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, want 0600", mode)
	}
	dial(t, l)
	accept(t, l)
	must(t, l.Close())
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestModeIsSetWhateverTheUmask(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o666, 0o660, 0o777} {
		path, opt := socketPath(t), once
		opt.Mode = mode
		listen(t, "unix:"+path, opt)
		if got := lstat(t, path).Mode().Perm(); got != mode {
			t.Errorf("mode %v, want %v", got, mode)
		}
	}
}

// F44: a second server on the same path.
func TestALiveSocketIsNeverStolen(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	first := listen(t, "unix:"+path, once)
	before := lstat(t, path)
	err := refused(t, "unix:"+path, once, "another process listens there")
	if !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("%v is not EADDRINUSE", err)
	}
	if !os.SameFile(before, lstat(t, path)) {
		t.Error("the socket's file was replaced")
	}
	dial(t, first)
}

func TestAFullQueueIsAlive(t *testing.T) {
	t.Parallel()
	path, opt := socketPath(t), once
	opt.Backlog = 1
	first := listen(t, "unix:"+path, opt)
	fill(t, path)
	refused(t, "unix:"+path, once, "another process listens there")
	if !first.Reachable() {
		t.Error("the first socket's file is gone")
	}
}

// fill connects to path until its queue is full and tells how many got in.
func fill(t *testing.T, path string) int {
	t.Helper()
	for n := range 100 {
		fd, err := newSocket(unix.AF_UNIX, 0)
		must(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); errors.Is(err, unix.EAGAIN) {
			return n
		}
	}
	t.Fatal("the queue never got full")
	return 0
}

// F45.
func TestAStaleSocketIsReplaced(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	stale(t, path)
	dial(t, listen(t, "unix:"+path, once))
}

// F34: the orphans of a killed master listen for a moment longer.
func TestALiveSocketIsWaitedFor(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	orphan := bound(t, path, unix.SOCK_STREAM)
	must(t, unix.Listen(orphan, 1))
	tries := 0
	opt := Options{Owner: -1, Group: -1, sleep: func(d time.Duration) {
		if d == lockEvery {
			time.Sleep(d) // see afterwards
		} else if tries++; tries == 3 {
			unix.Close(orphan)
		}
	}}
	listen(t, "unix:"+path, opt)
	if tries != 3 {
		t.Errorf("slept %d times, want 3", tries)
	}
}

// F46 and S18.
func TestWhatIsNoSocketIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		make       func(path string) error
	}{
		{"file", "exists and is not a socket but a file", func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) }},
		{"folder", "exists and is not a socket but a folder", func(p string) error { return os.Mkdir(p, 0o700) }},
		{"FIFO", "exists and is not a socket but a FIFO", func(p string) error { return unix.Mkfifo(p, 0o600) }},
		{"dangling link", "exists and is not a socket but a symbolic link", func(p string) error { return os.Symlink("nowhere", p) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := socketPath(t)
			must(t, tc.make(path))
			before := lstat(t, path)
			refused(t, "unix:"+path, once, tc.want)
			if !os.SameFile(before, lstat(t, path)) {
				t.Error("the file was replaced")
			}
		})
	}
}

func TestALinkToAStaleSocketIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	target := path + ".target"
	stale(t, target)
	must(t, os.Symlink(target, path))
	refused(t, "unix:"+path, once, "a symbolic link")
	lstat(t, target)
}

func TestADatagramSocketIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	defer unix.Close(bound(t, path, unix.SOCK_DGRAM))
	refused(t, "unix:"+path, once, "another process listens there")
	lstat(t, path)
}

// F46.
func TestImpossiblePaths(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	tooLong := filepath.Join(dir, long("x", maxPath-len(dir)))
	refused(t, "unix:"+tooLong, once, "the path has 108 bytes, the system allows 107")
	listen(t, "unix:"+tooLong[:maxPath], once)
	refused(t, "unix:"+dir+"/none/s", once, "the folder "+dir+"/none does not exist")
	must(t, os.WriteFile(dir+"/file", nil, 0o600))
	refused(t, "unix:"+dir+"/file/s", once, "not a directory")
	_, err := Listen(Address{Network: "unix", Path: "/a\x00b"}, once)
	if err == nil {
		t.Error("listens on a path with a NUL byte")
	}
}

func TestAFailureLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	path := socketPath(t)
	must(t, os.Chown(filepath.Dir(path), 65534, 65534))
	user := as("own unix:" + path)
	user.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := user.Output()
	if !strings.Contains(string(out), "chown to 0:0: operation not permitted") {
		t.Errorf("got %q, %v, want a chown that fails", out, err)
	}
	gone(t, path)
}

func TestOwnerAndGroup(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	path := socketPath(t)
	listen(t, "unix:"+path, Options{Patience: -1, Mode: 0o660, Owner: 65534, Group: 65533})
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	if st.Uid != 65534 || st.Gid != 65533 || st.Mode&0o7777 != 0o660 {
		t.Errorf("owner %d:%d, mode %o", st.Uid, st.Gid, st.Mode)
	}
}

func TestOneOfManyStartersReplacesAStaleSocket(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	stale(t, path)
	start, won := make(chan struct{}), make(chan *Listener, 50)
	var all sync.WaitGroup
	for range cap(won) {
		all.Go(func() {
			<-start
			if l, err := Listen(Address{Network: "unix", Path: path}, once); err == nil {
				won <- l
			}
		})
	}
	close(start)
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d starters won", len(won))
	}
	l := <-won
	dial(t, l)
	accept(t, l)
	must(t, l.Close())
	gone(t, path)
}

func TestABusyFolderIsWaitedFor(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	lock, err := lockFolder(filepath.Dir(path), time.Sleep)
	must(t, err)
	var slept time.Duration
	opt := once
	opt.sleep = func(d time.Duration) { slept += d }
	refused(t, "unix:"+path, opt, "lock the folder "+filepath.Dir(path))
	if slept != lockPatience {
		t.Errorf("waited %v, want %v", slept, lockPatience)
	}
	opt.sleep = afterwards(func() { unix.Close(lock) })
	listen(t, "unix:"+path, opt)
}

// afterwards is a sleep that does f the first time, and then does sleep: a child
// that another test has just forked holds a copy of every lock until its exec.
func afterwards(f func()) func(time.Duration) {
	var first sync.Once
	return func(d time.Duration) {
		first.Do(f)
		time.Sleep(d)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	want := func(live bool) {
		t.Helper()
		if got, err := Probe(path); got != live || err != nil {
			t.Errorf("live %v, %v, want %v", got, err, live)
		}
	}
	want(false)
	stale(t, path)
	want(false)
	l := listen(t, "unix:"+path, once)
	want(true)
	must(t, l.Close())
	want(false)
	if _, err := Probe("/tmp/" + long("x", 200)); err == nil {
		t.Error("no error for a path that is too long")
	}
}
