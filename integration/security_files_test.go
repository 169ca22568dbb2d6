package integration

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Neither a link nor a folder that others may write to lets anybody have root
// overwrite a file of their choice (S14).
func TestPIDFileAttack(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link, hard, dangling := filepath.Join(dir, "link.pid"), filepath.Join(dir, "hard.pid"), filepath.Join(dir, "dangling.pid")
	for to, make := range map[string]func(string, string) error{link: os.Symlink, hard: os.Link} {
		if err := make(victim, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	for path, why := range map[string]string{
		link:                          "symbolic link",
		dangling:                      "symbolic link",
		hard:                          "does not look like a pid file",
		filepath.Join(open, "my.pid"): "the folder",
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(path, open) {
				needRoot(t) // others may have such a folder of their own
			}
			s := launch(t, fmt.Sprintf("workers = 1\nmaster_pid_path = %q\n", path)+app())
			s.unclean = true
			if s.wait() == 0 || !strings.Contains(s.log.String(), why) {
				t.Errorf("it does not say %q: %s", why, s.log)
			}
			if text, err := os.ReadFile(victim); err != nil || string(text) != "precious\n" {
				t.Errorf("the victim has %q (%v)", text, err)
			}
			if _, err := os.Lstat(filepath.Join(dir, "nowhere")); err == nil {
				t.Error("the dangling link was followed")
			}
		})
	}
}

// What lies where a socket is to be and is none is not ours to remove (S18).
func TestSocketPathThatIsNoSocket(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	file, link, sub := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "folder")
	if err := os.WriteFile(file, []byte("precious\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, sub} {
		for _, toml := range []string{fmt.Sprintf("[[listener]]\naddress = \"unix:%s\"\n", path), "control"} {
			t.Run(filepath.Base(path), func(t *testing.T) {
				t.Parallel()
				before, err := os.Lstat(path)
				if err != nil {
					t.Fatal(err)
				}
				s := launchAt(t, path, toml)
				s.unclean = true
				if s.wait() == 0 || !strings.Contains(s.log.String(), path) {
					t.Errorf("it does not refuse: %s", s.log)
				}
				if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) || before.Size() != after.Size() {
					t.Errorf("%s has changed: %v", path, err)
				}
			})
		}
	}
}

// launchAt uses path as that of a listener or of the control socket.
func launchAt(t *testing.T, path, toml string) *server {
	t.Helper()
	if toml != "control" {
		return launch(t, toml+app())
	}
	dir := folder(t)
	file := filepath.Join(dir, "unicorn.toml")
	text := fmt.Sprintf("listen = \"127.0.0.1:0\"\ncontrol_path = %q\n%s", path, app())
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return launchCommand(t, dir, exec.Command(programs.fugue, "-c", file))
}

// Started with umask 000, nothing that the master makes can be written by others:
// logs, pid file, control socket and its folder. The app's own sockets are the
// exception, made with mode 0666 unless the file says otherwise (docs/limits.md)
// (S33, S34).
func TestNothingIsWritableByOthers(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	file := filepath.Join(dir, "unicorn.toml")
	text := fmt.Sprintf(`
listen = "unix:app.sock"
tmp_path = "."
master_pid_path = "app.pid"
log_file = "app.log"
master_log_file = "master.log"
umask = "0022"
worker_kill_timeout = "10s"
[[listener]]
address = "unix:narrow.sock"
mode = "0660"
%s`, app())
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s := launchCommand(t, dir, exec.Command("sh", "-c", `umask 000; exec "$@"`, "sh", programs.fugue, "-c", file))
	waitText(t, filepath.Join(dir, "master.log"), "msg=ready")
	s.address = "unix:" + filepath.Join(dir, "app.sock")
	s.get("/run?sh=echo+made+by+the+app+%3Eapp.txt")
	modes := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err == nil {
			name := filepath.Base(path)
			if filepath.Dir(path) != dir && path != dir {
				name = "control socket"
			}
			modes[name] = info.Mode()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{
		"app.log": 0o640, "master.log": 0o640, "app.pid": 0o644, "app.txt": 0o644,
		fmt.Sprintf("fugue-%d", os.Geteuid()): fs.ModeDir | 0o700, "control socket": fs.ModeSocket | 0o600,
		"app.sock": fs.ModeSocket | 0o666, "narrow.sock": fs.ModeSocket | 0o660,
	} {
		if modes[name] != want {
			t.Errorf("%s has the mode %v, not %v", name, modes[name], want)
		}
		delete(modes, name)
	}
	for name, mode := range modes {
		if mode&0o002 != 0 {
			t.Errorf("%s has the mode %v", name, mode)
		}
	}
}

// The folder of the control socket has a name that can be guessed: whatever
// somebody else put there is refused (S16).
func TestControlFolderOfAnother(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for what, make := range map[string]func(path string) error{
		"another user's folder": func(path string) error {
			if err := os.Mkdir(path, 0o777); err != nil {
				return err
			}
			return os.Chown(path, 65534, 65534)
		},
		"a link": func(path string) error { return os.Symlink(filepath.Dir(path), path) },
		"a file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			if err := make(filepath.Join(dir, "fugue-0")); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "unicorn.toml")
			if err := os.WriteFile(file, []byte("listen = \"127.0.0.1:0\"\ntmp_path = \".\"\n"+app()), 0o644); err != nil {
				t.Fatal(err)
			}
			launchCommand(t, dir, exec.Command(programs.fugue, "-c", file)).fails(1, "the control socket would not be safe in it")
		})
	}
}

// The control socket is for root and the master's user, even if its mode has been
// widened; all others are refused, and nothing they send is read (S16, S19).
func TestControlSocketRefusesOthers(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := start(t, "workers = 1\n"+app())
	ask := func() string {
		out, err := exec.Command("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", programs.app, "connect", s.controlPath()).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	needTool(t, "setpriv")
	if got := ask(); !strings.Contains(got, "permission denied") {
		t.Errorf("nobody got %q", got)
	}
	if err := os.Chmod(s.controlPath(), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := ask(); !strings.HasPrefix(got, "HTTP/1.1 403 ") || strings.Contains(got, `"pid"`) {
		t.Errorf("nobody got %q", got)
	}
	s.waitWorkers(1)
}

// A huge body is refused unread, and costs the master nothing (S28).
func TestControlSocketRefusesHugeBodies(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\n"+app())
	before := memory(t, s.pid)
	for name, header := range map[string]string{"sized": "Content-Length: 100000000\r\n", "chunked": "Transfer-Encoding: chunked\r\n"} {
		c, err := net.Dial("unix", s.controlPath())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "POST /scale HTTP/1.1\r\nHost: x\r\n%s\r\n", header)
		block := bytes.Repeat([]byte(" "), 1<<20)
		for range 100 { // until it hangs up
			if name == "chunked" {
				fmt.Fprintf(c, "%x\r\n", len(block))
			}
			if _, err := c.Write(block); err != nil {
				break
			}
			if name == "chunked" {
				fmt.Fprint(c, "\r\n")
			}
		}
		// What it said may be lost in the reset that the rest of the body has caused.
		answer := make([]byte, 64)
		if n, _ := c.Read(answer); n > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 413")) {
			t.Errorf("%s: %q", name, answer[:n])
		}
	}
	if after := memory(t, s.pid); after > before+32<<10 && !raceEnabled {
		t.Errorf("the master grew from %d to %d KiB", before, after)
	}
	if got := s.status().WorkersWanted; got != 1 {
		t.Errorf("%d workers are wanted", got)
	}
}

// memory is the most that pid ever had, in KiB.
func memory(t *testing.T, pid int) (kib int) {
	t.Helper()
	_, _ = fmt.Sscan(procStatus(t, pid)["VmHWM"], &kib)
	return kib
}

// Unix sockets have their modes from the first moment that they can be seen
// (S17). There are many, since that moment is short.
func TestSocketIsNeverWide(t *testing.T) {
	t.Parallel()
	const sockets = 120
	dir := folder(t)
	path := func(i int) string { return filepath.Join(dir, fmt.Sprintf("%d.sock", i)) }
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; i < sockets; {
			select {
			case <-stop:
				return
			default:
			}
			var st syscall.Stat_t
			if syscall.Lstat(path(i), &st) == nil {
				if st.Mode&0o777&^0o660 != 0 {
					t.Errorf("%s was seen with the mode %o", path(i), st.Mode&0o777)
				}
				i++ // they are made one after another
			}
		}
	}()
	toml := "workers = 1\n"
	for i := range sockets {
		toml += fmt.Sprintf("[[listener]]\naddress = \"unix:%s\"\nmode = \"0660\"\n", path(i))
	}
	s := launchThrough(t, toml+app(), inShell(`umask 000; exec "$@"`)...)
	s.waitReady()
	close(stop)
	<-done
	for i := range sockets {
		if info, err := os.Stat(path(i)); err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("%s: %v, %v", path(i), info.Mode(), err)
		}
	}
}

// Who can write the settings decides what root does: that is said at a test and
// at a start (S31).
func TestWritableSettingsAreWarnedOf(t *testing.T) {
	t.Parallel()
	needVerbs(t)
	needRoot(t)
	dir, file := settings(t, app())
	warned := func() string {
		out, err := exec.Command(programs.fugue, "-c", file, "-t").CombinedOutput()
		if err != nil {
			t.Errorf("-t: %v, %s", err, out)
		}
		return string(out)
	}
	if out := warned(); strings.Contains(out, "warning") {
		t.Errorf("without a reason: %s", out)
	}
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	if out := warned(); !strings.Contains(out, "can be written by others than its owner") {
		t.Errorf("a file that all may write: %s", out)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if out := warned(); !strings.Contains(out, "the folder of the settings file") {
		t.Errorf("a folder that all may write: %s", out)
	}
	s := launchCommand(t, dir, exec.Command(programs.fugue, "-c", file))
	s.log.wait(t, "can be written by others", s.exited)
	s.waitReady()
}
