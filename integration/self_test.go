package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// self is what a worker of the test app says of itself.
type self struct {
	PID, PPID, PGID int
	UID, GID        int
	Groups          []int
	Dir             string
	Umask           int
	FDs             map[string]string
	Env             []string
	ID, Generation  int
}

func (s *server) self() self {
	s.t.Helper()
	var me self
	if err := json.Unmarshal([]byte(s.get("/self")), &me); err != nil {
		s.t.Fatal(err)
	}
	return me
}

// shell runs a command in a child of the worker.
func (s *server) shell(command string) string {
	s.t.Helper()
	return strings.TrimSpace(s.get("/run?sh=" + url.QueryEscape(command)))
}

func (me self) variable(name string) (string, bool) { return variable(me.Env, name) }

func variable(env []string, name string) (string, bool) {
	for _, v := range env {
		if value, is := strings.CutPrefix(v, name+"="); is {
			return value, true
		}
	}
	return "", false
}

// procStatus reads /proc/PID/status.
func procStatus(t testing.TB, pid int) map[string]string {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		found[name] = strings.Join(strings.Fields(value), " ")
	}
	return found
}

// procEnviron is the environment that pid's program was started with.
func procEnviron(t testing.TB, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// children lists the processes whose parent is pid.
func children(t testing.TB, pid int) []int {
	t.Helper()
	var found []int
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		_, after, _ := strings.Cut(string(text), ") ")
		var state string
		var parent, child int
		_, _ = fmt.Sscan(after, &state, &parent)
		_, _ = fmt.Sscan(filepath.Base(filepath.Dir(path)), &child)
		if parent == pid && state != "Z" {
			found = append(found, child)
		}
	}
	slices.Sort(found)
	return found
}

// waitText waits until a file holds text.
func waitText(t testing.TB, path, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q in %s", text, path), func() bool {
		got, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(got), text)
	})
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can change users")
	}
}

// needTool skips what a tool is missing for.
func needTool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
}

// launchThrough starts the server by another program, such as sh or setpriv,
// which must exec it: its pid is the master's.
func launchThrough(t testing.TB, toml string, through ...string) *server {
	t.Helper()
	needTool(t, through[0])
	dir, file := settings(t, toml)
	args := append(slices.Clone(through[1:]), programs.fugue, "-c", file)
	return launchCommand(t, dir, exec.Command(through[0], args...))
}

// withEnv is a command with variables beside those of the test.
func withEnv(program string, args []string, env ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// inShell is for launchThrough: the script ends in `exec "$@"`.
func inShell(script string) []string { return []string{"sh", "-c", script, "sh"} }

// fails waits for the end of a server that cannot start.
func (s *server) fails(code int, why string) {
	s.t.Helper()
	s.unclean = true
	if got := s.wait(); got != code {
		s.t.Errorf("exit status %d, not %d; log:\n%s", got, code, s.log)
	}
	if !strings.Contains(s.log.String(), why) {
		s.t.Errorf("the reason lacks %q:\n%s", why, s.log)
	}
}

// verbs says whether the program under test has its command line yet.
var verbs = sync.OnceValue(func() bool { return exec.Command(programs.fugue, "--version").Run() == nil })

func needVerbs(t testing.TB) {
	t.Helper()
	if !verbs() {
		t.Skip("the program under test has no command line")
	}
}
