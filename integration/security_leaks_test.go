package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fugue-http/fugue/internal/wire"
)

// leaky starts the server as a careless shell would: with a secret file on
// descriptors that nobody knows of.
func leaky(t *testing.T, toml string) *server {
	t.Helper()
	secret := filepath.Join(folder(t), "secret")
	if err := os.WriteFile(secret, []byte("root's"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := launchThrough(t, toml, inShell(fmt.Sprintf(`exec 3<%s 4>>%[1]s 9<%[1]s; exec "$@"`, secret))...)
	s.waitReady()
	return s
}

// targets lists what descriptors lead to, without the numbers that differ, and
// without the two of the Go runtime's own from which it reads the CPU quota.
func targets(fds map[string]string) []string {
	var found []string
	for fd, target := range fds {
		if strings.HasPrefix(target, "/sys/fs/cgroup/") {
			continue
		}
		n, _ := strconv.Atoi(fd)
		if n < 3 {
			target = "std"
		}
		kind, _, _ := strings.Cut(target, ":[")
		found = append(found, kind)
	}
	slices.Sort(found)
	return found
}

// A native worker has 0 to 2, its listeners, its pipe, its command socket, and
// what the Go runtime makes; nothing that the launcher left open, nothing of the
// master's or of its neighbours' (S7).
func TestWorkerHasOnlyItsDescriptors(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := leaky(t, fmt.Sprintf("workers = 4\nlog_file = %q\nmaster_log_file = \"/dev/stderr\"\nmaster_pid_path = %q\n[[listener]]\naddress = \"unix:%s\"\n",
		filepath.Join(dir, "app.log"), filepath.Join(dir, "app.pid"), filepath.Join(dir, "app.sock"))+app())
	s.waitWorkers(4)
	// Three standard ones; two listeners, each twice as long as the worker accepts
	// from it and once while it stands back; commands, the client's connection, and
	// the socket by which other workers call; the heartbeat pipe; epoll and the
	// descriptor that wakes it.
	want := []string{"anon_inode", "anon_inode", "pipe",
		"socket", "socket", "socket", "socket", "socket", "socket", "socket", "std", "std", "std"}
	var got []string
	eventually(t, "no earlier connection is left", func() bool {
		got = targets(s.self().FDs)
		return len(got) <= len(want)
	})
	for range 2 {
		if len(got) < len(want) {
			want = slices.Delete(want, 3, 4) // a listener that it stands back from
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("a worker has %q, not %q", got, want)
	}
}

var lsLine = regexp.MustCompile(` (\d+) -> (.*)`)

// listing reads the output of ls -l on a folder of descriptors.
func listing(text string) map[string]string {
	fds := map[string]string{}
	for _, m := range lsLine.FindAllStringSubmatch(text, -1) {
		fds[m[1]] = m[2]
	}
	return fds
}

// What the app starts has 0 to 2 and what it opens itself (S8).
func TestGrandchildHasNoDescriptors(t *testing.T) {
	t.Parallel()
	s := leaky(t, "workers = 2\n"+app())
	fds := listing(s.shell("ls -l /proc/self/fd"))
	for fd, target := range fds {
		if n, _ := strconv.Atoi(fd); n > 2 && !strings.HasPrefix(target, "/proc/") {
			t.Errorf("descriptor %s of a grandchild is %s", fd, target)
		}
	}
	if len(fds) != 4 {
		t.Errorf("a grandchild has %v", fds)
	}
}

// A foreign app has what the protocol promises, at the promised numbers, and
// nothing else (S7).
func TestForeignAppHasOnlyItsDescriptors(t *testing.T) {
	t.Parallel()
	s := leaky(t, "workers = 2\nlog_file = \"app.log\"\n[[listener]]\naddress = \"unix:app.sock\"\nname = \"second\"\n"+
		"[app]\ncommand = [\"sh\", \"-c\", \"echo worker $FUGUE_WORKER_ID is up; sleep 600; :\"]\nready = \"20ms\"\n")
	for id, pid := range pids(s.waitWorkers(2)) {
		waitText(t, filepath.Join(s.dir, "app.log"), fmt.Sprintf("worker %d is up", id))
		checkForeign(t, descriptorsOf(pid), procEnviron(t, pid))
	}
}

// descriptorsOf looks from outside.
func descriptorsOf(pid int) map[string]string {
	fds := map[string]string{}
	list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, path := range list {
		fds[filepath.Base(path)], _ = os.Readlink(path)
	}
	return fds
}

func checkForeign(t *testing.T, fds map[string]string, env []string) {
	t.Helper()
	for _, want := range []struct{ variable, value string }{
		{wire.EnvListenFDs, "2"}, {wire.EnvListenNames, ":second"}, {wire.EnvPipeFD, "5"}, {wire.EnvCommandFD, "6"}, {wire.EnvProtocol, wire.Protocol},
	} {
		if got, _ := variable(env, want.variable); got != want.value {
			t.Errorf("%s=%s, not %s", want.variable, got, want.value)
		}
	}
	for fd, kind := range map[string]string{"0": "/dev/null", "1": "pipe:", "2": "pipe:", "3": "socket:", "4": "socket:", "5": "pipe:", "6": "socket:"} {
		if !strings.HasPrefix(fds[fd], kind) {
			t.Errorf("descriptor %s is %q, not a %s", fd, fds[fd], kind)
		}
		delete(fds, fd)
	}
	if len(fds) > 0 {
		t.Errorf("beside what it is promised a foreign app has %v", fds)
	}
}

// The log process has its pipe, its file, stderr and its socket.
func TestLogProcessHasOnlyItsDescriptors(t *testing.T) {
	t.Parallel()
	s := leaky(t, "workers = 1\nlog_file = \"app.log\"\n[app]\ncommand = [\"sleep\", \"600\"]\nready = \"20ms\"\n")
	worker := s.waitWorkers(1).Workers[0].PID
	others := slices.DeleteFunc(children(t, s.pid), func(pid int) bool { return pid == worker })
	if len(others) != 1 {
		t.Fatalf("beside the worker the master has the children %v", others)
	}
	eventually(t, "it is past its first stage", func() bool {
		_, still := variable(procEnviron(t, others[0]), "FUGUE_STAGE")
		return !still
	})
	var got []string
	want := []string{"socket", "std", "std", "std"}
	eventually(t, fmt.Sprintf("the log process has %q", want), func() bool {
		got = slices.DeleteFunc(targets(descriptorsOf(others[0])), func(kind string) bool { return kind == "anon_inode" })
		return slices.Equal(got, want) // the Go runtime opens and closes files of its own while it starts
	})
}

// What is meant for the master or for one process goes no further; what the file
// sets reaches the app and its children; what the launcher had is passed on, as
// by every server of this kind (S9).
func TestEnvironment(t *testing.T) {
	t.Parallel()
	dir, file := settings(t, "workers = 1\n"+app()+"env = { PASSWORD = \"pw-of-the-file\", HOME = \"/srv\" }\n")
	s := launchCommand(t, dir, withEnv(programs.fugue, []string{"-c", file},
		"NOTIFY_SOCKET="+filepath.Join(dir, "none"), "WATCHDOG_USEC=1", "WATCHDOG_PID=1", "LISTEN_FDS=3", "LISTEN_PID=1",
		"FUGUE_WORKER_ID=7", "FUGUE_PIPE_FD=1", "FUGUE_SETTINGS={}", "FROM_LAUNCHER=yes"))
	s.waitReady()
	me := s.self()
	checkEnv(t, "the app", me.Env)
	checkEnv(t, "its child", strings.Split(s.shell("env"), "\n"))
	checkStart(t, procEnviron(t, me.PID))
	if me.ID != 1 || me.Generation != 1 {
		t.Errorf("worker %d of generation %d", me.ID, me.Generation)
	}
}

// checkEnv looks at what the app's side sees.
func checkEnv(t *testing.T, who string, env []string) {
	t.Helper()
	for _, v := range env {
		for _, prefix := range []string{"FUGUE_", "LISTEN_", "NOTIFY_", "WATCHDOG_"} {
			if strings.HasPrefix(v, prefix) {
				t.Errorf("%s has %s", who, v)
			}
		}
	}
	for name, want := range map[string]string{"PASSWORD": "pw-of-the-file", "HOME": "/srv", "FROM_LAUNCHER": "yes"} {
		if got, _ := variable(env, name); got != want {
			t.Errorf("%s has %s=%q, not %q", who, name, got, want)
		}
	}
}

// checkStart looks at what the kernel keeps of a worker's start, for all to read
// who have the same user.
func checkStart(t *testing.T, env []string) {
	t.Helper()
	text, _ := variable(env, wire.EnvSettings)
	var settings wire.Settings
	if err := json.Unmarshal([]byte(text), &settings); err != nil || settings.ControlPath == "" {
		t.Errorf("%s=%s: %v", wire.EnvSettings, text, err)
	}
	if strings.Contains(text, "pw-of-the-file") {
		t.Errorf("the settings hold values of app.env: %s", text)
	}
	if id, _ := variable(env, wire.EnvWorkerID); id != "1" {
		t.Errorf("it was started as worker %s", id)
	}
	counts := map[string]int{}
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if counts[name]++; counts[name] == 2 {
			t.Errorf("it was started with two of %s", name)
		}
		if name == "FUGUE_STAGE" || name == "NOTIFY_SOCKET" && !strings.HasPrefix(v, "NOTIFY_SOCKET=@fugue/notify/") {
			t.Errorf("it was started with %s", v)
		}
	}
}

// A launcher that claims to hand over sockets, and does not, is found out at
// once (S10).
func TestForgedSocketsAreRefused(t *testing.T) {
	t.Parallel()
	for count, why := range map[string]string{"999999": "LISTEN_FDS", "1000000000": "LISTEN_FDS", "-1": "LISTEN_FDS", "x": "LISTEN_FDS",
		"1": "descriptor 3 is not a socket"} {
		t.Run(count, func(t *testing.T) {
			t.Parallel()
			s := launchThrough(t, "workers = 1\n"+app(), inShell(fmt.Sprintf(`exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=%s exec "$@"`, count))...)
			s.fails(1, why)
		})
	}
}
