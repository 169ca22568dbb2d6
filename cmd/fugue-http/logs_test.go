package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAForeignAppLogsToStandardOutput: as containers want it.
func TestAForeignAppLogsToStandardOutput(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/dev/stdout", "/dev/stderr"} {
		dir := shortDir(t)
		file(t, dir, "u.toml", "listen = \"127.0.0.1:0\"\nworkers = 1\ncontrol_path = \"ctl\"\nlog_file = \""+path+"\"\n"+
			"[app]\ncommand = [\"/bin/sh\", \"-c\", \"echo here I am; exec sleep 60\"]\nready = \"1s\"\n")
		var out, errs bytes.Buffer
		cmd := fugueHTTP(dir, "-c", "u.toml")
		cmd.Stdout, cmd.Stderr = &out, &errs
		must(t, cmd.Start())
		awaitRunning(t, dir)
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		must(t, cmd.Wait())
		got := map[string]string{"/dev/stdout": out.String(), "/dev/stderr": errs.String()}[path]
		if !strings.Contains(got, "here I am\n") {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// TestAStartThatFailsIsToldToTheTerminal, though the master's log is a file.
func TestAStartThatFailsIsToldToTheTerminal(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	must(t, os.Symlink(filepath.Join(dir, "no", "folder"), filepath.Join(dir, "app.log")))
	file(t, dir, "u.toml", "tmp_path = \".\"\nmaster_log_file = \"m.log\"\nlog_file = \"app.log\"\n[app]\ndemo = true\n")
	out, err := fugueHTTP(dir, "-c", "u.toml").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "open log file") {
		t.Errorf("%v, %q", err, out)
	}
}

func awaitRunning(t *testing.T, dir string) {
	t.Helper()
	awaitStatus(t, dir, " running ")
}

// awaitStatus looks at the status until it says what is wanted.
func awaitStatus(t *testing.T, dir, want string, flags ...string) {
	t.Helper()
	args := append([]string{"status", "-s", "ctl"}, flags...)
	await(t, want, func() (string, error) {
		out, err := fugueHTTP(dir, args...).CombinedOutput()
		return string(out), err
	})
}

// awaitLine looks at a file until it says what is wanted.
func awaitLine(t *testing.T, path, want string) {
	t.Helper()
	await(t, want, func() (string, error) {
		text, err := os.ReadFile(path)
		return string(text), err
	})
}

func await(t *testing.T, want string, look func() (string, error)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) { // between two looks
		text, err := look()
		if err == nil && strings.Contains(text, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %q: %v\n%s", want, err, text)
		}
	}
}

// logTo has cmd write what it logs into a file of dir.
func logTo(t *testing.T, cmd *exec.Cmd, dir string) (path string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "stderr"))
	must(t, err)
	t.Cleanup(func() { f.Close() })
	cmd.Stderr = f
	return f.Name()
}
