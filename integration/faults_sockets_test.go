package integration

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The master is killed and started again at once, ten times, on the same port,
// Unix socket, control path and pid file, the first time with a request still
// running in an orphan: no hand is needed (F33, F34).
func TestRestartAfterKill(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	dir, file := place(t, "workers = 2\nmaster_pid_path = \"master.pid\"\n[[listener]]\naddress = \"unix:app.sock\"\n"+
		"[[listener]]\naddress = \"127.0.0.1:"+port+"\"\n"+app())
	text := strings.Replace(readAll(t, file), "listen = \"127.0.0.1:0\"\n", "", 1)
	put(t, file, text)
	var orphaned <-chan error
	for i := range 10 {
		s := again(t, dir)
		s.log.wait(t, "msg=ready", s.exited)
		for _, address := range []string{"unix:" + filepath.Join(dir, "app.sock"), "127.0.0.1:" + port} {
			s.address = address
			s.get("/pid")
		}
		if pid := strings.TrimSpace(readAll(t, filepath.Join(dir, "master.pid"))); pid != strconv.Itoa(s.pid) {
			t.Errorf("the pid file says %s", pid)
		}
		if i == 9 {
			break // the last one is stopped
		}
		if i == 0 {
			orphaned = s.ask("/slow?for=2500ms")
			eventually(t, "the request runs", func() bool {
				st := s.status()
				return st.Workers[0].InFlight+st.Workers[1].InFlight == 1
			})
		}
		s.unclean = true
		s.signal(syscall.SIGKILL)
		// Reaped: until then its threads may still hold what is to be free.
		eventually(t, "the master is gone", func() bool { return syscall.Kill(s.pid, 0) == syscall.ESRCH })
	}
	if err := <-orphaned; err != nil {
		t.Errorf("the request in the orphan: %v", err)
	}
}

// A second instance is refused whatever it has in common with the first one,
// which does not notice (F44).
func TestSecondInstance(t *testing.T) {
	t.Parallel()
	first := start(t, "workers = 1\nmaster_pid_path = \"master.pid\"\n[[listener]]\naddress = \"unix:app.sock\"\n"+
		"[[listener]]\naddress = \"unix:@fugue-test-"+strconv.Itoa(os.Getpid())+"\"\n"+app())
	in := func(name string) string { return filepath.Join(first.dir, name) }
	before := map[string]os.FileInfo{}
	for _, name := range []string{"master.pid", "app.sock", "control.sock"} {
		info, err := os.Lstat(in(name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = info
	}
	cases := []struct{ from, to, want string }{
		{"", fmt.Sprintf("master_pid_path = %q\n", in("master.pid")), fmt.Sprintf("held by process %d", first.pid)},
		{"127.0.0.1:0", first.address, "address already in use: another program listens there"},
		{"127.0.0.1:0", "unix:" + in("app.sock"), "address already in use: another process listens there"},
		{"127.0.0.1:0", "unix:@fugue-test-" + strconv.Itoa(os.Getpid()), "address already in use: another process listens there"},
		{"control.sock", in("control.sock"), "control_path: listen on"},
	}
	var others []*server
	for _, c := range cases {
		dir, file := place(t, "")
		text := readAll(t, file)
		if c.from != "" {
			text, c.to = strings.Replace(text, c.from, c.to, 1), ""
		}
		put(t, file, text+c.to+"workers = 1\n"+app())
		others = append(others, again(t, dir))
	}
	for i, c := range cases { // they wait for the address together
		others[i].refused(c.want)
	}
	for name, was := range before {
		if now, err := os.Lstat(in(name)); err != nil || !os.SameFile(was, now) {
			t.Errorf("%s is not the file it was (%v)", name, err)
		}
	}
	first.get("/pid")
	first.address = "unix:" + in("app.sock")
	first.get("/pid")
}

// A socket that a dead process left is taken over; anything else that stands in
// the way stays as it is (F45, F46).
func TestWhatIsAtTheSocketsPath(t *testing.T) {
	t.Parallel()
	stale := func(path string) {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
	}
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		dir, file := place(t, "workers = 1\n"+app())
		put(t, file, strings.Replace(readAll(t, file), "127.0.0.1:0", "unix:app.sock", 1))
		stale(filepath.Join(dir, "app.sock"))
		stale(filepath.Join(dir, "control.sock"))
		s := again(t, dir)
		s.waitReady()
		s.get("/pid")
	})
	for _, c := range []struct {
		name string
		make func(path string) error
	}{
		{"file", func(path string) error { return os.WriteFile(path, []byte("precious"), 0o644) }},
		{"folder", func(path string) error { return os.Mkdir(path, 0o755) }},
		{"link", func(path string) error { return os.Symlink("elsewhere", path) }},
		{"fifo", func(path string) error { return syscall.Mkfifo(path, 0o644) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, key := range []string{"127.0.0.1:0", "control.sock"} {
				dir, file := place(t, "workers = 1\n"+app())
				path := filepath.Join(dir, "taken")
				to := path
				if key != "control.sock" {
					to = "unix:" + path
				}
				put(t, file, strings.Replace(readAll(t, file), key, to, 1))
				if err := c.make(path); err != nil {
					t.Fatal(err)
				}
				before, _ := os.Lstat(path)
				s := again(t, dir)
				s.ends(1)
				s.says(path, "is there and is not a socket: remove it if it is not wanted")
				if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
					t.Errorf("what was there is gone (%v)", err)
				}
			}
		})
	}
	for name, c := range map[string]struct {
		path, want string
		code       int
	}{
		"too long":            {strings.Repeat("x", 120), "bytes", 2},
		"parent missing":      {"nowhere/app.sock", "nowhere", 1},
		"parent is no folder": {"unicorn.toml/app.sock", "unicorn.toml", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, file := place(t, "workers = 1\n"+app())
			put(t, file, strings.Replace(readAll(t, file), "127.0.0.1:0", "unix:"+c.path, 1))
			s := again(t, dir)
			s.ends(c.code)
			s.says(c.want)
		})
	}
}

// Workers that die early, or that made the shared listener blocking before they
// did, leave it as it was: O_NONBLOCK, or every other worker would hang in
// accept(2).
func TestListenerStaysNonblocking(t *testing.T) {
	t.Parallel()
	flag := filepath.Join(folder(t), "broken")
	s := start(t, "workers = 2\n"+booting("blocking", flag))
	workers := pids(s.waitWorkers(2))
	if !s.listenersAreNonblocking() {
		t.Fatal("a listener is blocking from the start")
	}
	put(t, flag, "")
	kill(t, workers[1], syscall.SIGKILL)
	s.waitPauses(1, "1s")
	remove(t, flag)
	s.log.wait(t, "a worker made the listener blocking", s.exited)
	s.waitWorkers(2)
	if !s.listenersAreNonblocking() {
		t.Error("the listener is blocking")
	}
	s.get("/pid")
}

// listenersAreNonblocking looks at the master's listening TCP sockets from outside.
func (s *server) listenersAreNonblocking() bool {
	s.t.Helper()
	found, all := 0, true
	for _, fd := range s.files() {
		link, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", s.pid, fd))
		inode, is := strings.CutPrefix(link, "socket:[")
		if !is || !listening(s.t, strings.TrimSuffix(inode, "]")) {
			continue
		}
		found++
		for _, line := range strings.Split(readAll(s.t, fmt.Sprintf("/proc/%d/fdinfo/%d", s.pid, fd)), "\n") {
			if octal, is := strings.CutPrefix(line, "flags:\t"); is {
				flags, err := strconv.ParseInt(octal, 8, 64)
				all = all && err == nil && flags&syscall.O_NONBLOCK != 0
			}
		}
	}
	if found == 0 {
		s.t.Fatal("the master's listener is not found in /proc")
	}
	return all
}

// listening says whether a TCP socket is in state LISTEN (0A in /proc/net/tcp).
func listening(t testing.TB, inode string) bool {
	lines := bufio.NewScanner(strings.NewReader(readAll(t, "/proc/net/tcp")))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) > 9 && f[9] == inode && f[3] == "0A" {
			return true
		}
	}
	return false
}

// Sockets that systemd opened are used, by their order or matched by their name.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	activate := needProgram(t, "systemd-socket-activate")
	for _, c := range []struct {
		name, listen string
		args         []string
		want         int // listeners
	}{
		{"by order", "127.0.0.1:0", nil, 2},
		{"by name", "systemd:web", []string{"--fdname=web"}, 1},
		{"by address", "ADDRESS", nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			address := "127.0.0.1:" + freePort(t)
			dir, file := place(t, "workers = 1\n"+app())
			put(t, file, strings.Replace(readAll(t, file), "127.0.0.1:0", strings.Replace(c.listen, "ADDRESS", address, 1), 1))
			s := launchCommand(t, dir, exec.Command(activate, append(append([]string{"-l", address}, c.args...), programs.fugue, "-c", file)...))
			s.address = address
			s.log.wait(t, "Listening on "+address, s.exited)
			s.get("/pid") // it starts with the first connection, which waits
			st := s.status()
			if len(st.Listeners) != c.want || st.Listeners[0].Address != address {
				t.Errorf("it listens on %+v", st.Listeners)
			}
			s.signal(syscall.SIGTERM)
			s.ends(0)
		})
	}
}

// More names than sockets are refused; what is meant for another process is not
// heeded (S10).
func TestInheritanceOfAnother(t *testing.T) {
	t.Parallel()
	t.Run("names", func(t *testing.T) {
		t.Parallel()
		dir, _ := place(t, "workers = 1\n"+app())
		throughShell(t, dir, "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=a:b; exec 3</etc/passwd;").
			refused("inherited socket", "LISTEN_FDNAMES=")
	})
	t.Run("pid", func(t *testing.T) {
		t.Parallel()
		dir, _ := place(t, "workers = 1\n"+app())
		s := throughShell(t, dir, "export LISTEN_PID=1 LISTEN_FDS=7 LISTEN_FDNAMES=a;")
		s.waitReady()
		s.get("/pid")
	})
}
