package integration

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// identity is whom a worker shall be, and what makes it so.
type identity struct {
	toml       string
	uid, gid   int
	groups     []int
	name, home string
}

// identities are users that a machine has anyway, and numbers that nobody has.
func identities(t *testing.T) map[string]identity {
	found := map[string]identity{
		"numbers": {toml: "uid = \"4711\"\ngid = \"4712\"\n", uid: 4711, gid: 4712, groups: []int{4712}, home: "/"},
	}
	for _, name := range []string{"nobody", "daemon", "www-data"} {
		if u, err := user.Lookup(name); err == nil {
			found[name] = identityOf(t, u, "")
		}
	}
	if u := withGroups(); u != nil {
		found["with supplementary groups"] = identityOf(t, u, "")
		found["with another group"] = identityOf(t, u, "4712")
	}
	return found
}

func identityOf(t *testing.T, u *user.User, gid string) identity {
	id := identity{toml: fmt.Sprintf("uid = %q\n", u.Username), name: u.Username, home: u.HomeDir}
	id.uid, _ = strconv.Atoi(u.Uid)
	if gid != "" {
		id.toml += fmt.Sprintf("gid = %q\n", gid)
		u.Gid = gid // in the place of his own, as initgroups(3) has it
	}
	groups, err := u.GroupIds()
	if err != nil {
		t.Fatal(err)
	}
	id.gid, _ = strconv.Atoi(u.Gid)
	for _, g := range groups {
		n, _ := strconv.Atoi(g)
		id.groups = append(id.groups, n)
	}
	slices.Sort(id.groups)
	return id
}

// withGroups finds a user that the group file puts into more groups than his own.
func withGroups() *user.User {
	text, _ := os.ReadFile("/etc/group")
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 4 || fields[3] == "" {
			continue
		}
		name, _, _ := strings.Cut(fields[3], ",")
		if u, err := user.Lookup(name); err == nil && u.Uid != "0" {
			return u
		}
	}
	return nil
}

// A worker is its user and nothing else, whatever groups the master was started
// with: all four ids, the user's own supplementary groups, no capability, no way
// back (S1, S2, S3).
func TestWorkersAreTheirUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for what, id := range identities(t) {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := launchThrough(t, "workers = 2\n"+id.toml+app(), "setpriv", "--groups", "0,4,24,27")
			s.waitReady()
			for _, pid := range pids(s.waitWorkers(2)) {
				checkRights(t, pid, id)
			}
			me := s.self()
			for name, want := range map[string]string{"USER": id.name, "LOGNAME": id.name, "HOME": id.home} {
				if got, _ := me.variable(name); got != want {
					t.Errorf("%s is %q, not %q", name, got, want)
				}
			}
			for line := range strings.Lines(s.get("/regain")) {
				if !strings.HasSuffix(line, "operation not permitted\n") {
					t.Errorf("root could be regained: %s", line)
				}
			}
			if got := procStatus(t, s.pid)["Groups"]; got != "0 4 24 27" {
				t.Errorf("the master's own groups became %q", got)
			}
		})
	}
}

func checkRights(t *testing.T, pid int, id identity) {
	t.Helper()
	uid, gid := strconv.Itoa(id.uid), strconv.Itoa(id.gid)
	groups := strings.Trim(fmt.Sprint(id.groups), "[]")
	const none = "0000000000000000"
	for name, want := range map[string]string{
		"Uid": strings.Repeat(uid+" ", 3) + uid, "Gid": strings.Repeat(gid+" ", 3) + gid, "Groups": groups,
		"CapEff": none, "CapPrm": none, "CapInh": none, "CapAmb": none, "NoNewPrivs": "1",
	} {
		if got := procStatus(t, pid)[name]; got != want {
			t.Errorf("%s of process %d is %q, not %q", name, pid, got, want)
		}
	}
}

// A set-user-id program in the app's folder makes nobody root, unless the file
// allows it (S3).
func TestSetUserIDProgramGainsNothing(t *testing.T) {
	t.Parallel()
	needRoot(t)
	program := filepath.Join(folder(t), "id")
	copyFile(t, "/usr/bin/id", program, 0o755)
	if err := os.Chmod(program, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(program, &fs); err != nil || fs.Flags&unix.ST_NOSUID != 0 {
		t.Skip("/tmp is mounted nosuid")
	}
	for _, c := range []struct{ toml, uid, locked string }{
		{"", "65534", "1"},
		{"no_new_privs = true\n", "65534", "1"},
		{"no_new_privs = false\n", "0", "0"},
	} {
		t.Run(c.toml, func(t *testing.T) {
			t.Parallel()
			s := start(t, "workers = 1\nuid = \"65534\"\ngid = \"65534\"\n"+c.toml+app())
			if got := s.shell(program + " -u"); got != c.uid {
				t.Errorf("the program ran as %s, not %s", got, c.uid)
			}
			if got := procStatus(t, s.self().PID)["NoNewPrivs"]; got != c.locked {
				t.Errorf("NoNewPrivs is %s, not %s", got, c.locked)
			}
		})
	}
}

func copyFile(t testing.TB, from, to string, mode os.FileMode) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// no_new_privs can be had without another user, by anyone.
func TestNoNewPrivsWithoutUID(t *testing.T) {
	t.Parallel()
	for toml, want := range map[string]string{"no_new_privs = true\n": "1", "": procStatus(t, os.Getpid())["NoNewPrivs"]} {
		s := start(t, "workers = 1\n"+toml+app())
		if got := procStatus(t, s.self().PID)["NoNewPrivs"]; got != want {
			t.Errorf("with %q NoNewPrivs is %s", toml, got)
		}
	}
}

// A worker that cannot be made another user does not run at all, least of all
// as root, and the reason is told (S4).
func TestWorkerThatCannotBeDropped(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for _, c := range []struct {
		what, toml, why string
		through         []string
	}{
		{"no right to set groups", `uid = "nobody"`, "become nobody: setgroups: operation not permitted",
			[]string{"setpriv", "--bounding-set", "-setuid,-setgid"}},
		{"no right to set users", `uid = "nobody"`, "become nobody: setresuid 65534: operation not permitted",
			[]string{"setpriv", "--bounding-set", "-setuid"}},
		{"not root", `uid = "daemon"`, "only root can run workers as another user",
			[]string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}},
		{"no process left for the user", "uid = \"4713\"\ngid = \"4713\"", "ulimit -u",
			[]string{"prlimit", "--nproc=1"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			ran := filepath.Join(folder(t), "ran")
			if err := os.Chmod(filepath.Dir(ran), 0o777); err != nil {
				t.Fatal(err)
			}
			script := filepath.Join(filepath.Dir(ran), "app.sh")
			text := fmt.Sprintf("#!/bin/sh\nid > %s\nexec %s\n", ran, programs.app)
			if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			s := launchThrough(t, fmt.Sprintf("workers = 1\n%s\n[app]\ncommand = [%q]\n", c.toml, script), c.through...)
			s.fails(1, c.why)
			if id, err := os.ReadFile(ran); err == nil {
				t.Errorf("the app ran, as %s", id)
			}
		})
	}
}

// Of a wrong user nothing is started (S5; the table of wrong users is
// internal/config's).
func TestWrongUserIsRefused(t *testing.T) {
	t.Parallel()
	for toml, why := range map[string]string{
		`uid = "root"`:       "workers would run as root",
		`uid = "4294967295"`: "stands for -1",
		`uid = "no-such"`:    `there is no user "no-such"`,
	} {
		s := launch(t, toml+"\n"+app())
		s.unclean = true
		if s.wait() == 0 || !strings.Contains(s.log.String(), why) {
			t.Errorf("%s: %s", toml, s.log)
		}
	}
}

// What the first stage sets up, for whoever runs it: a process group of its own,
// no core dumps, the folder, the umask; and under root the same for another user
// to whom the folder is closed.
func TestWorkerSurroundings(t *testing.T) {
	t.Parallel()
	work := folder(t)
	if err := os.Chmod(work, 0o700); err != nil {
		t.Fatal(err)
	}
	for what, toml := range map[string]string{
		"as we are": fmt.Sprintf("umask = \"0027\"\nworking_path = %q\n", work),
		"as nobody": fmt.Sprintf("umask = \"0027\"\nworking_path = %q\nuid = \"nobody\"\n", work),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(toml, "uid") {
				needRoot(t)
			}
			s := start(t, "workers = 2\n"+toml+app())
			me := s.self()
			if me.PGID != me.PID || me.PPID != s.pid {
				t.Errorf("process %d is in group %d, its parent is %d", me.PID, me.PGID, me.PPID)
			}
			dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", me.PID)) // the app itself may not look
			if err != nil || dir != work || me.Umask != 0o027 {
				t.Errorf("folder %s (%v), umask %o", dir, err, me.Umask)
			}
			if got := coreLimit(t, me.PID); got != "0" {
				t.Errorf("core files may have %s bytes", got)
			}
			groups := map[int]bool{}
			for _, pid := range pids(s.waitWorkers(2)) {
				group, err := unix.Getpgid(pid)
				if err != nil || group != pid || groups[group] {
					t.Errorf("process %d is in group %d (%v)", pid, group, err)
				}
				groups[group] = true
			}
		})
	}
}

// coreLimit is the soft limit.
func coreLimit(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, "Max core file size"); is {
			return strings.Fields(rest)[0]
		}
	}
	return ""
}

// Without a umask the worker has the launcher's, and without a working_path the
// folder of the file.
func TestWorkerSurroundingsByDefault(t *testing.T) {
	t.Parallel()
	s := launchThrough(t, "workers = 1\n"+app(), inShell(`umask 031; ulimit -S -c unlimited; cd /; exec "$@"`)...)
	s.waitReady()
	me := s.self()
	if me.Umask != 0o031 || me.Dir != s.dir {
		t.Errorf("umask %o, folder %s", me.Umask, me.Dir)
	}
	if got := coreLimit(t, me.PID); got != "0" {
		t.Errorf("core files may have %s bytes", got)
	}
}

// A worker with another user can neither signal the master nor look into it
// (S12, S38).
func TestWorkerCannotReachTheMaster(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := start(t, "workers = 2\nuid = \"nobody\"\n"+app())
	for _, command := range []string{
		fmt.Sprintf("kill -KILL %d", s.pid),
		fmt.Sprintf("kill -TERM %d", s.pid),
		fmt.Sprintf("kill -STOP %d", s.pid),
		fmt.Sprintf("cat /proc/%d/environ", s.pid),
		fmt.Sprintf("cat /proc/%d/mem", s.pid),
		fmt.Sprintf("ls -l /proc/%d/fd", s.pid),
	} {
		if out := strings.ToLower(s.shell(command)); !strings.Contains(out, "not permitted") && !strings.Contains(out, "denied") {
			t.Errorf("%s: %s", command, out)
		}
	}
	if out, err := exec.Command("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", programs.app, "connect", s.controlPath()).Output(); err != nil || !strings.Contains(string(out), "permission denied") {
		t.Errorf("nobody at the control socket: %s, %v", out, err)
	}
	s.waitWorkers(2)
}
