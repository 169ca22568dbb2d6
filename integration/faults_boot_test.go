package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// An app that crashes from the start ends the master with exit status 1, and
// its own last words reach whoever started it.
func TestAppThatNeverStarts(t *testing.T) {
	t.Parallel()
	var servers []*server
	for _, logs := range []string{"", "log_file = \"app.log\"\n"} {
		servers = append(servers, launch(t, "workers = 2\nmaster_pid_path = \"master.pid\"\n"+logs+booting("crash", "")))
	}
	for _, s := range servers { // they take their time together
		s.refused("boom: no database", "no worker became ready: exited with status 3 before it was ready")
		for _, name := range []string{"master.pid", "control.sock"} {
			if _, err := os.Lstat(filepath.Join(s.dir, name)); !os.IsNotExist(err) {
				t.Errorf("%s is left (%v)", name, err)
			}
		}
	}
}

// A program that cannot be run is named, with the reason (F22).
func TestProgramThatCannotRun(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		put(t, path, text)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "nothing"), "does not exist"},
		{"not in PATH", "no-such-program", "is not found in PATH"},
		{"not executable", file("plain", "#!/bin/sh\n", 0o644), "is not executable: chmod +x"},
		{"a folder", dir, "is a folder, not a program"},
		{"a script without its interpreter", file("python", "#!/nowhere/python\n", 0o755), "needs an interpreter"},
		{"empty", file("empty", "", 0o755), "exec format error (a script needs a first line"},
		{"a script without #!", file("script", "sleep 600\n", 0o755), "exec format error (a script needs a first line"},
		{"another machine's", file("alien", "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00", 0o755), "exec format error"},
	}
	var servers []*server
	for _, c := range cases {
		servers = append(servers, launch(t, fmt.Sprintf("workers = 2\n[app]\ncommand = [%q]\n", c.path)))
	}
	for i, c := range cases {
		servers[i].refused(c.path, c.want)
		if t.Failed() {
			t.Fatalf("program that is %s", c.name)
		}
	}
}

// The binary is overwritten while it is run, then half written, then whole again.
// A worker that dies meanwhile comes back from what it was started from; a reload
// says what is wrong, and succeeds when the program is whole (F23).
func TestBinaryReplacedInPlace(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	program := filepath.Join(dir, "app")
	cp(t, programs.app, program)
	s := start(t, fmt.Sprintf("workers = 2\n[app]\ncommand = [%q]\nready = \"pipe\"\n", program))
	s.unclean = true // the half-written program dies as it likes
	workers := pids(s.waitWorkers(2))

	remove(t, program) // writing into a running program is refused (ETXTBSY); a new file is not
	cp(t, programs.app, program)
	writing, err := os.OpenFile(program, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	kill(t, workers[1], syscall.SIGKILL)
	s.replaced(1, workers[1])
	if said := s.verb(1, "reload", "--wait"); !strings.Contains(said, "text file busy (the file is being written)") {
		t.Errorf("a reload while the program is written: %s", said)
	}
	if err := writing.Truncate(3000); err != nil {
		t.Fatal(err)
	}
	writing.Close()
	s.verb(1, "reload", "--wait")
	s.untouched(2, workers[2])

	remove(t, program)
	cp(t, programs.app, program)
	s.verb(0, "reload", "--wait")
}

// An app that can no longer start is tried ever less often: fewer than eight
// times in ten seconds, 1+2+4+8 s apart. The healthy slot is not touched and the
// server stays ready (F24).
func TestAppThatCrashesAtBootLater(t *testing.T) {
	t.Parallel()
	flag := filepath.Join(folder(t), "broken")
	s := start(t, "workers = 2\n"+booting("crash", flag))
	workers := pids(s.waitWorkers(2))
	put(t, flag, "")
	kill(t, workers[1], syscall.SIGKILL)
	s.waitPauses(1, "1s")
	s.healthy()
	s.get("/pid")
	s.waitPauses(1, "1s", "2s", "4s")
	s.untouched(2, workers[2])
	st := s.status()
	if st.Counters.Spawned != 2+3 || st.Counters.Exits["boot"] != 3 || st.Counters.Exits["crash"] != 1 {
		t.Errorf("counted %+v", st.Counters)
	}
	s.healthy()
	if got := s.pauses(2); len(got) > 0 {
		t.Errorf("the healthy slot paused %v", got)
	}
}

// All workers are dead and the app is broken: the master lives, clients wait in
// the queue, and all is well again once the app is, without a hand (F25).
func TestBrokenAppHeals(t *testing.T) {
	t.Parallel()
	flag := filepath.Join(folder(t), "broken")
	s := start(t, "workers = 2\n"+booting("crash", flag))
	workers := pids(s.waitWorkers(2))
	put(t, flag, "")
	for _, pid := range workers {
		kill(t, pid, syscall.SIGKILL)
	}
	s.waitPauses(1, "1s")
	s.waitPauses(2, "1s")
	answer := s.ask("/pid")
	eventually(t, "the client waits in the queue", func() bool { return s.status().Listeners[0].Queue == 1 })
	remove(t, flag)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	s.waitWorkers(2)
}

// Slow is not broken, as long as boot_timeout allows (F26).
func TestSlowBoot(t *testing.T) {
	t.Parallel()
	start(t, "workers = 1\nboot_timeout = \"20s\"\n"+app()+"env = { BOOT = \"slow\", BOOT_FOR = \"1500ms\" }\n").get("/pid")
}

// An app that knows nothing of the pipe is ready when it has lived for a second,
// or for as long as the file says.
func TestForeignAppBecomesReady(t *testing.T) {
	t.Parallel()
	for _, ready := range []string{"auto", "100ms"} {
		t.Run(ready, func(t *testing.T) {
			t.Parallel()
			start(t, "workers = 2\n"+foreign("exec sleep 600", ready)).waitWorkers(2)
		})
	}
}

// A worker that hangs at its start is killed at boot_timeout, and only that one (F26).
func TestBootThatHangsLater(t *testing.T) {
	t.Parallel()
	flag := filepath.Join(folder(t), "broken")
	s := start(t, "workers = 2\nboot_timeout = \"3s\"\n"+booting("hang", flag))
	workers := pids(s.waitWorkers(2))
	put(t, flag, "")
	kill(t, workers[1], syscall.SIGKILL)
	s.log.wait(t, "hanging", s.exited)
	late := s.starting(1)
	remove(t, flag)
	s.healthy()
	s.log.wait(t, fmt.Sprintf("msg=\"worker killed\" worker=1 pid=%d cause=boot why=\"not ready 3s after its start\"", late), s.exited)
	s.untouched(2, workers[2])
	s.replaced(1, late)
	s.untouched(2, workers[2])
}

// Nobody is ready within boot_timeout: the message says which word was missing (F27).
func TestBootTimeout(t *testing.T) {
	t.Parallel()
	native := launch(t, "workers = 2\nboot_timeout = \"1s\"\n"+booting("hang", ""))
	foreign := launch(t, "workers = 2\nboot_timeout = \"1s\"\n"+foreign("exec sleep 600", "pipe"))
	native.refused("no worker became ready within 1s")
	foreign.refused("no worker became ready within 1s: it has to say so (ready = \"pipe\" or \"notify\") and said nothing")
}
