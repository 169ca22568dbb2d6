package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/control"
)

// patience bounds every wait: long enough for a loaded machine under the race
// detector, and only ever used up by a test that fails.
const patience = 30 * time.Second

// server is one running fugue-http.
type server struct {
	t       testing.TB
	cmd     *exec.Cmd
	dir     string // its folder: unicorn.toml, control socket, logs
	log     *lineLog
	exited  chan struct{}
	err     error // of Wait, once exited
	pid     int   // of the master; not cmd's when it is a daemon or in a namespace
	address string
	unclean bool // the test expects errors in the log or leftovers
}

// config is what every test's file starts with: its own control socket, any
// free port.
const config = `
listen = "127.0.0.1:0"
control_path = "control.sock"
tmp_path = "."
`

// app runs the test app.
func app() string { return fmt.Sprintf("[app]\ncommand = [%q]\nready = \"pipe\"\n", programs.app) }

const demo = "[app]\ndemo = true\n"

// folder is a short path: a Unix socket's may have 107 bytes.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "fit")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// start runs fugue-http with the given lines after the common ones, and waits
// until it is ready.
func start(t testing.TB, toml string, args ...string) *server {
	t.Helper()
	s := launch(t, toml, args...)
	s.waitReady()
	return s
}

// launch does not wait.
func launch(t testing.TB, toml string, args ...string) *server {
	t.Helper()
	dir, file := settings(t, toml)
	return launchCommand(t, dir, exec.Command(programs.fugue, append([]string{"-c", file}, args...)...))
}

// settings writes the file, into a folder of its own.
func settings(t testing.TB, toml string) (dir, file string) {
	t.Helper()
	if !strings.Contains(toml, "worker_kill_timeout") {
		toml = "worker_kill_timeout = \"10s\"\n" + toml
	}
	dir = folder(t)
	file = filepath.Join(dir, "unicorn.toml")
	if err := os.WriteFile(file, []byte(config+toml), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

func launchCommand(t testing.TB, dir string, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{t: t, cmd: cmd, dir: dir, log: newLineLog(), exited: make(chan struct{})}
	if cmd.Stdout == nil { // a test may want to be deaf to it
		cmd.Stdout, cmd.Stderr = s.log, s.log
	}
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.pid = cmd.Process.Pid
	go func() { s.err = cmd.Wait(); close(s.exited) }()
	t.Cleanup(s.cleanUp)
	return s
}

// cleanUp ends what runs and checks that nothing is left.
func (s *server) cleanUp() {
	workers := s.workersOrNone()
	select {
	case <-s.exited:
	default:
		s.signal(syscall.SIGTERM)
		select {
		case <-s.exited:
		case <-time.After(patience):
			s.t.Errorf("the master does not end after TERM")
			_ = syscall.Kill(s.pid, syscall.SIGKILL)
			<-s.exited
		}
	}
	if !s.unclean {
		s.checkLog()
	}
	if s.t.Failed() {
		s.t.Logf("log of the server:\n%s", s.log)
	}
	for _, w := range workers {
		eventually(s.t, fmt.Sprintf("worker %d is gone", w.PID), func() bool { return !alive(w.PID) })
	}
}

// checkLog finds lines that no healthy run has.
func (s *server) checkLog() {
	for _, line := range strings.Split(s.log.String(), "\n") {
		for _, bad := range []string{"level=ERROR", "panic:", "DATA RACE", "fatal error"} {
			if strings.Contains(line, bad) {
				s.t.Errorf("unexpected in the log: %s", line)
			}
		}
	}
}

func (s *server) waitReady() {
	s.t.Helper()
	s.log.wait(s.t, "msg=ready", s.exited)
	s.address = s.status().Listeners[0].Address
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		s.t.Errorf("signal %v: %v", sig, err)
	}
}

// wait returns the exit code.
func (s *server) wait() int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatalf("the master does not end; its log:\n%s", s.log)
	}
	var exit *exec.ExitError
	if errors.As(s.err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func (s *server) controlPath() string { return filepath.Join(s.dir, "control.sock") }

func (s *server) controlClient() *http.Client { return unixClient(s.controlPath()) }

func unixClient(path string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}}
}

func (s *server) tryStatus() (control.Status, error) {
	var st control.Status
	resp, err := s.controlClient().Get("http://control/status")
	if err != nil {
		return st, err
	}
	defer resp.Body.Close()
	return st, json.NewDecoder(resp.Body).Decode(&st)
}

func (s *server) status() control.Status {
	s.t.Helper()
	st, err := s.tryStatus()
	if err != nil {
		s.t.Fatalf("status: %v; log:\n%s", err, s.log)
	}
	return st
}

func (s *server) workersOrNone() []control.Worker {
	st, err := s.tryStatus()
	if err != nil {
		return nil
	}
	return st.Workers
}

// post sends a control request and returns the code and body.
func (s *server) post(path, body string) (int, string) {
	s.t.Helper()
	resp, err := s.controlClient().Post("http://control"+path, "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatalf("POST %s: %v", path, err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// pids returns the pids of the ready workers by slot.
func pids(st control.Status) map[int]int {
	found := map[int]int{}
	for _, w := range st.Workers {
		if w.State == "ready" {
			found[w.ID] = w.PID
		}
	}
	return found
}

// waitWorkers waits until exactly n workers exist, all ready.
func (s *server) waitWorkers(n int) control.Status {
	s.t.Helper()
	var st control.Status
	eventually(s.t, fmt.Sprintf("%d workers are ready", n), func() bool {
		st = s.status()
		return len(st.Workers) == n && len(pids(st)) == n
	})
	return st
}

func (s *server) get(path string) string {
	s.t.Helper()
	text, err := s.tryGet(path)
	if err != nil {
		s.t.Fatalf("GET %s: %v; log:\n%s", path, err, s.log)
	}
	return text
}

// tryGet makes one request on a connection of its own.
func (s *server) tryGet(path string) (string, error) {
	client, base := http.DefaultClient, "http://"+s.address
	if sock, is := strings.CutPrefix(s.address, "unix:"); is {
		client, base = unixClient(sock), "http://unix"
	}
	req, err := http.NewRequest(http.MethodGet, base+path, nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return string(text), err
}

// alive says whether pid runs; a zombie does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return len(after) > 0 && after[0] != 'Z'
}

// eventually waits for a condition that nothing announces.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond) // between two looks, not instead of one
	}
}

// lineLog collects what the server prints and wakes those who wait for a line.
type lineLog struct {
	mu   sync.Mutex // guards all below
	text bytes.Buffer
	news chan struct{} // closed and replaced at each write
}

func newLineLog() *lineLog { return &lineLog{news: make(chan struct{})} }

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.news)
	l.news = make(chan struct{})
	return l.text.Write(p)
}

func (l *lineLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lineLog) count(part string) int {
	n := 0
	for lines := bufio.NewScanner(strings.NewReader(l.String())); lines.Scan(); {
		if strings.Contains(lines.Text(), part) {
			n++
		}
	}
	return n
}

// wait waits for a line that holds part.
func (l *lineLog) wait(t testing.TB, part string, exited <-chan struct{}) {
	l.waitN(t, part, 1, exited)
}

// waitN waits for n such lines.
func (l *lineLog) waitN(t testing.TB, part string, n int, exited <-chan struct{}) {
	t.Helper()
	limit := time.After(patience)
	for {
		l.mu.Lock()
		news := l.news
		l.mu.Unlock()
		if l.count(part) >= n {
			return
		}
		select {
		case <-news:
		case <-exited:
			if l.count(part) >= n {
				return
			}
			t.Fatalf("the server ended without %q in its log:\n%s", part, l)
		case <-limit:
			t.Fatalf("no %q (%d times) in the log within %s:\n%s", part, n, patience, l)
		}
	}
}
