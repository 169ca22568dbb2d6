package integration

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Whoever read the master's stdout and stderr is gone: it lives on, and counts
// the lines that it cannot write (F37, `fugue-http | head -1`).
func TestNobodyReadsTheMaster(t *testing.T) {
	t.Parallel()
	dir, file := place(t, "workers = 2\nlog_file = \"app.log\"\n"+app())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(programs.fugue, "-c", file)
	cmd.Stdout, cmd.Stderr = w, w
	s := launchCommand(t, dir, cmd)
	w.Close()
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	r.Close()
	s.running()
	first := pids(s.waitWorkers(2))[1]
	kill(t, first, syscall.SIGKILL) // which is told to nobody
	s.replaced(1, first)
	s.signal(syscall.SIGUSR1)
	s.get("/log?n=3&tag=a")
	eventually(t, "the lost lines are counted", func() bool { return s.status().Counters.LogsLost > 0 })
	s.waitWorkers(2)
	s.signal(syscall.SIGTERM)
	s.ends(0)
}

// Logs that are FIFOs without a reader hold up neither the start, nor the
// requests, nor USR1, nor the end (F38).
func TestLogsAreFIFOs(t *testing.T) {
	t.Parallel()
	dir, _ := place(t, "workers = 2\nlog_file = \"app.log\"\nmaster_log_file = \"master.log\"\n"+app())
	for _, name := range []string{"app.log", "master.log"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := again(t, dir)
	s.running()
	const lines = 20000 // ten times what a pipe holds
	for range 4 {
		s.get(fmt.Sprintf("/log?n=%d&tag=unread", lines/4))
	}
	s.signal(syscall.SIGUSR1)
	s.get("/log?n=100&tag=unread")
	first := pids(s.status())[1]
	kill(t, first, syscall.SIGKILL)
	s.replaced(1, first)
	s.get("/pid")
	s.signal(syscall.SIGTERM)
	s.ends(0)
}

// The disk is full: requests are served, and what comes after USR1 is written
// to where there is room (F39).
func TestLogDiskIsFull(t *testing.T) {
	t.Parallel()
	for name, app := range map[string]string{"native": app(), "foreign": foreign("while sleep 0.02; do echo line; done", "100ms")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := place(t, "workers = 2\nlog_file = \"app.log\"\nmaster_log_file = \"master.log\"\n"+app)
			logs := []string{filepath.Join(dir, "app.log"), filepath.Join(dir, "master.log")}
			for _, path := range logs {
				if err := os.Symlink("/dev/full", path); err != nil {
					t.Fatal(err)
				}
			}
			s := again(t, dir)
			s.running()
			s.write(name)
			eventually(t, "the master's lost lines are counted", func() bool { return s.status().Counters.LogsLost > 0 })
			if name == "foreign" {
				s.log.wait(t, "fugue: log_file: no space left on device", s.exited)
			}
			for _, path := range logs {
				remove(t, path)
			}
			s.signal(syscall.SIGUSR1)
			for _, path := range logs {
				eventually(t, path+" has a line", func() bool {
					s.write(name)
					text, _ := os.ReadFile(path)
					return strings.Contains(string(text), "\n")
				})
			}
			if n := s.log.count("no space left"); n > 1 {
				t.Errorf("warned %d times", n)
			}
			s.waitWorkers(2)
		})
	}
}

// write has a native app write a line; the foreign one here writes unasked.
func (s *server) write(app string) {
	s.t.Helper()
	if app == "native" {
		s.get("/log?n=1&tag=x")
	}
}

// The folder of the logs is removed: USR1 says so, the old files stay in use, and
// a later USR1 finds the folder again (F39).
func TestLogFolderIsRemoved(t *testing.T) {
	t.Parallel()
	dir, _ := place(t, "workers = 1\nlog_file = \"log/app.log\"\n"+app())
	folder := filepath.Join(dir, "log")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	s := again(t, dir)
	s.waitReady()
	s.get("/log?n=1&tag=first")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGUSR1)
	s.log.wait(t, "its folder does not exist; make it", s.exited)
	s.get("/log?n=1&tag=lost")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGUSR1)
	path := filepath.Join(folder, "app.log")
	eventually(t, "the file is there again", func() bool { _, err := os.Stat(path); return err == nil })
	eventually(t, "lines go there", func() bool {
		s.get("/log?n=1&tag=again")
		return strings.Contains(readAll(t, path), "line again 0\n")
	})
}

// The limit on the size of files is reached: an error, not the death by SIGXFSZ
// of master, log process or native worker (F40).
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	for name, app := range map[string]string{"native": app(), "foreign": foreign("while sleep 0.02; do echo line; done", "100ms")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := place(t, "workers = 2\nlog_file = \"app.log\"\nmaster_log_file = \"master.log\"\n"+app)
			for _, name := range []string{"app.log", "master.log"} {
				put(t, filepath.Join(dir, name), strings.Repeat("x", 16<<10)) // it is reached at once
			}
			s := throughShell(t, dir, "ulimit -f 4;")
			s.running()
			before := pids(s.waitWorkers(2))
			s.write(name)
			eventually(t, "the master's lost lines are counted", func() bool { return s.status().Counters.LogsLost > 0 })
			if name == "foreign" {
				s.log.wait(t, "fugue: log_file: file too large", s.exited)
			}
			s.write(name)
			after := pids(s.waitWorkers(2))
			for slot, pid := range before {
				if after[slot] != pid {
					t.Errorf("worker %d was %d and is %d", slot, pid, after[slot])
				}
			}
			s.signal(syscall.SIGTERM)
			s.ends(0)
		})
	}
}
