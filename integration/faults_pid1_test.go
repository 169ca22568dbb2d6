package integration

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// As process 1 of a namespace, as in a container: orphans that were never its own
// are reaped without a word, and TERM ends it cleanly (F77).
func TestProcess1(t *testing.T) {
	t.Parallel()
	rootFor(t, "unshare --pid")
	unshare := needProgram(t, "unshare")
	if out, err := exec.Command(unshare, "--pid", "--fork", "--mount-proc", "true").CombinedOutput(); err != nil {
		t.Skipf("no pid namespace can be made here: %s", out)
	}
	dir, file := place(t, "workers = 2\nlog_file = \"app.log\"\n"+app())
	s := launchCommand(t, dir, exec.Command(unshare, "--pid", "--fork", "--mount-proc", programs.fugue, "-c", file))
	eventually(t, "unshare has its child", func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", s.cmd.Process.Pid, s.cmd.Process.Pid))
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && bad == nil {
			s.pid = pid
		}
		return s.pid != s.cmd.Process.Pid
	})
	s.waitReady()
	if pid := s.status().PID; pid != 1 {
		t.Fatalf("it is process %d", pid)
	}
	before := s.quietFiles()

	// Nobody but process 1 will wait for what setsid(1) leaves behind.
	inside := s.run("setsid sleep 600 >/dev/null 2>&1 & echo $!")
	orphan := s.outside(inside)
	eventually(t, "the orphan is adopted", func() bool { return statusField(t, orphan, "PPid") == strconv.Itoa(s.pid) })
	kill(t, orphan, syscall.SIGKILL)
	eventually(t, "the orphan is reaped", func() bool { return syscall.Kill(orphan, 0) == syscall.ESRCH })
	s.run("for i in 1 2 3 4 5 6 7 8; do setsid sleep 0.1 >/dev/null 2>&1 & done")

	victim := pids(s.waitWorkers(2))[1]
	kill(t, s.outside(strconv.Itoa(victim)), syscall.SIGKILL)
	s.replaced(1, victim)
	eventually(t, "two workers and the log process are left, no zombie", func() bool {
		all, zombies := s.children()
		return all == 3 && zombies == 0
	})
	if now := s.quietFiles(); now > before {
		t.Errorf("%d descriptors, %d before", now, before)
	}
	s.signal(syscall.SIGTERM)
	s.ends(0)
	if s.log.count("level=WARN") != 1 { // the killed worker
		t.Errorf("the log reads\n%s", s.log)
	}
	if _, err := os.Lstat(filepath.Join(dir, "control.sock")); !os.IsNotExist(err) {
		t.Errorf("the control socket is left (%v)", err)
	}
}

// run has a worker's child run a line of sh.
func (s *server) run(line string) string {
	s.t.Helper()
	return strings.TrimSpace(s.get("/run?sh=" + url.QueryEscape(line)))
}

// outside translates a pid of the master's namespace.
func (s *server) outside(inside string) int {
	s.t.Helper()
	mine := s.namespace(s.pid)
	for _, pid := range processes(s.t) {
		words := strings.Fields(tryStatusField(pid, "NSpid"))
		if len(words) == 2 && words[1] == inside && s.namespace(pid) == mine {
			return pid
		}
	}
	s.t.Fatalf("process %s of the namespace is not found", inside)
	return 0
}

func (s *server) namespace(pid int) string {
	link, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	return link
}

// children are the processes whose parent is the master, and how many of them
// have ended and were not waited for.
func (s *server) children() (all, zombies int) {
	for _, pid := range processes(s.t) {
		if tryStatusField(pid, "PPid") != strconv.Itoa(s.pid) {
			continue
		}
		all++
		if strings.HasPrefix(tryStatusField(pid, "State"), "Z") {
			zombies++
		}
	}
	return all, zombies
}

func processes(t testing.TB) (pids []int) {
	list, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
