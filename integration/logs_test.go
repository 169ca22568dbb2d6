package integration

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// rotations and lines are what must go well together.
const (
	rotations = 20
	linesMin  = 200_000
	bytesEach = 80 << 10 // of the 120 KB there are between two rotations
)

// rotate moves the log file away n times, as logrotate does: when it has so many
// bytes. It waits each time until the master says that it has opened a new one.
func (s *server) rotate(file string, n int, bytes int64) {
	s.t.Helper()
	for i := range n {
		eventually(s.t, fmt.Sprintf("%s has %d bytes", file, bytes), func() bool {
			info, err := os.Stat(file)
			return err == nil && info.Size() >= bytes
		})
		before := s.log.count("logs reopened")
		if err := os.Rename(file, fmt.Sprintf("%s.%d", file, i)); err != nil {
			s.t.Fatal(err)
		}
		s.signal(syscall.SIGUSR1)
		s.log.waitN(s.t, "logs reopened", before+1, s.exited)
		if _, err := os.Stat(file); err != nil {
			s.t.Errorf("after USR1: %v", err)
		}
	}
}

// waitWriter waits until pid has the new file and not the one that was moved away.
func waitWriter(t *testing.T, pid int, file string) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d writes to %s", pid, file), func() bool {
		fds := slices.Collect(maps.Values(descriptorsOf(pid)))
		return slices.Contains(fds, file) && !slices.Contains(fds, file+".0")
	})
}

// tally counts the lines "line TAG NUMBER" over all files of a rotated log;
// other lines are collected.
func tally(t *testing.T, file string) (numbers map[string][]int, others []string) {
	t.Helper()
	numbers = map[string][]int{}
	files, _ := filepath.Glob(file + "*")
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var tag, more string
			var n int
			if got, _ := fmt.Sscanf(lines.Text(), "line %s %d %s", &tag, &n, &more); got != 2 {
				others = append(others, lines.Text())
				continue
			}
			numbers[tag] = append(numbers[tag], n)
		}
	}
	return numbers, others
}

// checkWhole says whether each tag has its numbers from 0 up, once each.
func checkWhole(t *testing.T, numbers map[string][]int, want map[string]int) {
	t.Helper()
	if len(numbers) != len(want) {
		t.Errorf("%d tags are in the files, %d were written", len(numbers), len(want))
	}
	for tag, n := range want {
		got := numbers[tag]
		slices.Sort(got)
		for i, number := range got {
			if number != i {
				t.Errorf("%s: line %d is missing or there twice (%d found, %d written)", tag, min(i, number), len(got), n)
				break
			}
		}
		if len(got) != n {
			t.Errorf("%s: %d lines of %d", tag, len(got), n)
		}
	}
}

// Not one of 200 000 lines that four workers write while the file is rotated 20
// times is missing, torn or there twice (F41).
func TestRotationLosesNoLine(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 4\nlog_file = \"app.log\"\n"+app())
	file := filepath.Join(s.dir, "app.log")
	var mu sync.Mutex
	want := map[string]int{}
	var rotated atomic.Bool
	var written atomic.Int64
	var clients sync.WaitGroup
	for c := range 6 {
		clients.Go(func() {
			const each = 2000
			for r := 0; !rotated.Load() || written.Load() < linesMin; r++ {
				tag := fmt.Sprintf("c%dr%d", c, r)
				if _, err := s.tryGet(fmt.Sprintf("/log?n=%d&tag=%s", each, tag)); err != nil {
					t.Error(err)
					return
				}
				written.Add(each)
				mu.Lock()
				want[tag] = each
				mu.Unlock()
			}
		})
	}
	s.rotate(file, rotations, bytesEach)
	rotated.Store(true)
	clients.Wait()
	numbers, others := tally(t, file)
	checkWhole(t, numbers, want)
	if len(others) > 0 {
		t.Errorf("%d lines were not written by anyone, such as %q", len(others), others[0])
	}
}

// The same for an app that knows nothing of rotation: its lines go through the
// log process.
func TestRotationLosesNoLineOfAForeignApp(t *testing.T) {
	t.Parallel()
	needTool(t, "awk")
	dir, file := settings(t, "workers = 4\nlog_file = \"app.log\"\n[app]\ncommand = [\"./app.sh\"]\nready = \"20ms\"\n")
	script := `#!/bin/sh
i=0
while [ $i -lt 50000 ] || [ ! -e rotated ]; do
	awk -v id=w$FUGUE_WORKER_ID -v i=$i 'BEGIN { for (k = i + 2000; i < k; i++) { print "line", id, i; fflush() } }'
	i=$((i + 2000))
done
echo "w$FUGUE_WORKER_ID wrote $i"
sleep 600 </dev/null >/dev/null 2>&1
`
	if err := os.WriteFile(filepath.Join(dir, "app.sh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	s := launchCommand(t, dir, withEnv(programs.fugue, []string{"-c", file}))
	s.waitReady()
	log := filepath.Join(dir, "app.log")
	s.rotate(log, rotations, bytesEach)
	if err := os.WriteFile(filepath.Join(dir, "rotated"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for id := range 4 {
		var n int
		tag := fmt.Sprintf("w%d", id+1)
		eventually(t, tag+" has written all", func() bool {
			last, _ := os.ReadFile(fmt.Sprintf("%s.%d", log, rotations-1)) // the log process may have had its line before the last switch
			text, err := os.ReadFile(log)
			_, after, found := bytes.Cut(append(last, text...), []byte(tag+" wrote "))
			_, _ = fmt.Sscan(string(after), &n)
			return err == nil && found && bytes.ContainsRune(after, '\n')
		})
		want[tag] = n
	}
	numbers, others := tally(t, log)
	checkWhole(t, numbers, want)
	if len(others) != 4 {
		t.Errorf("lines that were not written as they are: %q", others)
	}
}

// shellApp is an app that is a few lines of sh.
func shellApp(line string) string {
	return fmt.Sprintf("[app]\ncommand = [\"/bin/sh\", \"-c\", %q]\nready = \"20ms\"\n", line)
}

// onRequest is a foreign app that writes 300 lines each time that a file go.N
// appears: less than a page, for that is what a pipe may hold when this user has
// many (pipe(7), pipe-user-pages-soft).
const onRequest = `n=1
while :; do
	while [ ! -e go.$n ]; do sleep 0.02; done
	i=0
	while [ $i -lt 300 ]; do echo "line g$n $i"; i=$((i + 1)); done
	n=$((n + 1))
done`

// tell makes the app write, and names what it will have written.
func (s *server) tell(n int, want map[string]int) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, fmt.Sprintf("go.%d", n)), nil, 0o644); err != nil {
		s.t.Fatal(err)
	}
	want[fmt.Sprintf("g%d", n)] = 300
}

// logProcess is the master's child that is no worker.
func (s *server) logProcess() int {
	s.t.Helper()
	pid := 0
	eventually(s.t, "there is a log process", func() bool {
		st := s.status()
		found := children(s.t, s.pid)
		for _, w := range st.Workers {
			found = slices.DeleteFunc(found, func(p int) bool { return p == w.PID })
		}
		if len(found) == 1 {
			pid = found[0]
		}
		return len(found) == 1
	})
	return pid
}

// A log process that is killed, or stopped and then killed, is replaced; what
// waits in its pipe is written by its successor.
func TestLogProcessIsReplaced(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\nlog_file = \"app.log\"\n"+shellApp(onRequest))
	file := filepath.Join(s.dir, "app.log")
	want := map[string]int{}
	s.tell(1, want)
	waitText(t, file, "line g1 299\n")

	if err := syscall.Kill(s.logProcess(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, "log process gone", s.exited)
	s.tell(2, want)
	waitText(t, file, "line g2 299\n")

	second := s.logProcess()
	if err := syscall.Kill(second, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is stopped", func() bool { return strings.HasPrefix(procStatus(t, second)["State"], "T") })
	s.tell(3, want)
	eventually(t, "the app waits for more", func() bool { return waiting(t, s.status().Workers[0].PID) })
	if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.tell(4, want)
	waitText(t, file, "line g4 299\n")
	numbers, others := tally(t, file)
	checkWhole(t, numbers, want)
	if len(others) > 0 {
		t.Errorf("unexpected: %q", others)
	}
	s.logProcess()
}

// waiting says that the app sleeps between two looks, and so has written all.
func waiting(t *testing.T, pid int) bool {
	for _, child := range children(t, pid) {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child))
		if strings.TrimSpace(string(comm)) == "sleep" {
			return true
		}
	}
	return false
}

// What an app says last, when it is told to leave, is in the file when the master
// has ended.
func TestLastLinesAreWritten(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 3\nlog_file = \"app.log\"\n"+
		shellApp(`trap 'echo "worker $FUGUE_WORKER_ID says good-bye"; exit 0' TERM; echo "worker $FUGUE_WORKER_ID is up"; while :; do sleep 0.02; done`))
	for id := 1; id <= 3; id++ {
		waitText(t, filepath.Join(s.dir, "app.log"), fmt.Sprintf("worker %d is up\n", id))
	}
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "app.log"))
	if err != nil || strings.Count(string(text), "says good-bye\n") != 3 {
		t.Errorf("the file has %q (%v)", text, err)
	}
}

// Workers under another user get the new file though its folder is closed to
// them; a process that they start later has it, too. Both files are for root and
// its group only.
func TestRotationInAClosedFolder(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for name, a := range map[string]string{"native": app(), "foreign": shellApp(onRequest)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			if err := os.Chmod(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "app.log")
			s := start(t, fmt.Sprintf("workers = 1\nuid = \"nobody\"\nlog_file = %q\n", file)+a)
			want := map[string]int{}
			write := func(n int) {
				if name == "foreign" {
					s.tell(n, want)
				} else {
					s.get(fmt.Sprintf("/log?n=300&tag=g%d", n))
				}
				waitText(t, file, fmt.Sprintf("line g%d 299\n", n))
			}
			write(1)
			s.rotate(file, 1, 1)
			writer := s.status().Workers[0].PID
			if name == "foreign" {
				writer = s.logProcess()
			}
			waitWriter(t, writer, file)
			write(2)
			old, err := os.ReadFile(file + ".0")
			if err != nil || bytes.Contains(old, []byte("g2")) {
				t.Errorf("lines went into the old file (%v)", err)
			}
			for _, path := range []string{file, file + ".0"} {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if st := info.Sys().(*syscall.Stat_t); info.Mode() != 0o640 || st.Uid != 0 {
					t.Errorf("%s has the mode %v and the owner %d", path, info.Mode(), st.Uid)
				}
			}
		})
	}
}

// After a rotation by copying and truncating the file begins anew, without a
// hole where the old lines were.
func TestCopyTruncateLeavesNoHole(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]string{"native": app(), "foreign": shellApp(onRequest)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := launch(t, "workers = 1\nlog_file = \"app.log\"\nmaster_log_file = \"master.log\"\n"+a)
			waitText(t, filepath.Join(s.dir, "master.log"), "msg=ready")
			s.address = s.status().Listeners[0].Address
			file := filepath.Join(s.dir, "app.log")
			write := func(n int) {
				if name == "foreign" {
					s.tell(n, map[string]int{})
				} else {
					s.get(fmt.Sprintf("/log?n=300&tag=g%d", n))
				}
				waitText(t, file, fmt.Sprintf("line g%d 299\n", n))
			}
			write(1)
			for _, path := range []string{file, filepath.Join(s.dir, "master.log")} {
				if err := os.Truncate(path, 0); err != nil {
					t.Fatal(err)
				}
			}
			write(2)
			s.signal(syscall.SIGUSR1)
			waitText(t, filepath.Join(s.dir, "master.log"), "logs reopened")
			for _, path := range []string{file, filepath.Join(s.dir, "master.log")} {
				if text, err := os.ReadFile(path); err != nil || bytes.ContainsRune(text, 0) || bytes.Contains(text, []byte("g1")) {
					t.Errorf("%s begins with %q (%v)", path, text[:min(len(text), 40)], err)
				}
			}
		})
	}
}

// The master's own file is opened anew as well, and its lines are JSON if asked
// for, one object each, to the end.
func TestMasterLog(t *testing.T) {
	t.Parallel()
	s := launch(t, "workers = 2\nmaster_log_file = \"master.log\"\nlog_format = \"json\"\n"+app())
	file := filepath.Join(s.dir, "master.log")
	waitText(t, file, `"msg":"ready"`)
	if err := os.Rename(file, file+".0"); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGUSR1)
	waitText(t, file, `"msg":"logs reopened"`)
	if err := syscall.Kill(s.status().Workers[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitText(t, file, `"cause":"crash"`)
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	messages := map[string]bool{}
	for _, path := range []string{file + ".0", file} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var entry struct{ Time, Level, Msg string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Msg == "" {
				t.Errorf("%q: %v", line, err)
			}
			messages[entry.Msg] = true
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	for _, want := range []string{"listening", "master started", "worker ready", "ready", "worker gone", "stopped"} {
		if !messages[want] {
			t.Errorf("no line says %q", want)
		}
	}
	if text := s.log.String(); text != "" {
		t.Errorf("beside its file the master wrote %q", text)
	}
}

// USR1 to a native worker opens the files of all anew, since it may not itself.
func TestReopenAskedOfAWorker(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\nlog_file = \"app.log\"\n"+app())
	file := filepath.Join(s.dir, "app.log")
	if err := os.Rename(file, file+".0"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pids(s.waitWorkers(2))[1], syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, "logs reopened", s.exited)
	for _, pid := range pids(s.status()) {
		waitWriter(t, pid, file)
	}
}
