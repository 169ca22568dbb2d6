package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fugue-http/fugue"
)

// greeting is the line of examples/tcp.
var greeting = regexp.MustCompile(`^pid (\d+), worker (\d+), user (\S+), working directory (.*)\n$`)

type greeted struct {
	pid, worker int
	user, dir   string
}

// greet connects once.
func greet(address string) (g greeted, err error) {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return g, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(c)
	if err != nil {
		return g, err
	}
	m := greeting.FindStringSubmatch(string(text))
	if m == nil {
		return g, fmt.Errorf("it says %q", text)
	}
	g.user, g.dir = m[3], m[4]
	g.pid, _ = strconv.Atoi(m[1])
	g.worker, _ = strconv.Atoi(m[2])
	return g, nil
}

var (
	listenLine = regexp.MustCompile(`msg=listening addr=(\S+)`)
	masterLine = regexp.MustCompile(`master (\d+): workers \[([\d ]+)\]`)
)

// startTCP runs the example, which has no settings file.
func startTCP(t *testing.T, args ...string) *server {
	t.Helper()
	s := launchCommand(t, folder(t), exec.Command(programs.tcp, append([]string{"-listen", "127.0.0.1:0"}, args...)...))
	s.log.wait(t, ": workers [", s.exited)
	s.address = listenLine.FindStringSubmatch(s.log.String())[1]
	return s
}

// greetAll connects until want different processes have answered.
func (s *server) greetAll(want int) map[int]greeted {
	s.t.Helper()
	found := map[int]greeted{}
	eventually(s.t, fmt.Sprintf("%d workers answer", want), func() bool {
		answers := make(chan greeted, 16)
		for range cap(answers) {
			go func() {
				g, err := greet(s.address)
				if err != nil {
					s.t.Error(err)
				}
				answers <- g
			}()
		}
		for range cap(answers) {
			g := <-answers
			found[g.worker] = g
		}
		return len(found) == want
	})
	return found
}

// The first example: every worker answers with who it is; Started is called in
// the master with all of their pids; one that is killed is replaced; TERM ends
// all with status 0.
func TestExampleTCP(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := startTCP(t, "-workers", "4", "-working-path", dir)
	before := s.greetAll(4)
	m := masterLine.FindStringSubmatch(s.log.String())
	if m[1] != strconv.Itoa(s.pid) {
		t.Errorf("the master is %s, not %d", m[1], s.pid)
	}
	for _, g := range before {
		if !slices.Contains(strings.Fields(m[2]), strconv.Itoa(g.pid)) || g.dir != dir || g.user != procUser(t) {
			t.Errorf("worker %+v; the master has told of %s", g, m[2])
		}
	}
	if err := syscall.Kill(before[2].pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "worker 2 has a successor", func() bool {
		g, err := greet(s.address)
		return err == nil && g.worker == 2 && g.pid != before[2].pid
	})
	for slot, g := range s.greetAll(4) {
		if slot != 2 && g.pid != before[slot].pid {
			t.Errorf("worker %d went from %d to %d", slot, before[slot].pid, g.pid)
		}
	}
	workers := children(t, s.pid)
	s.signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for _, pid := range workers {
		eventually(t, "no worker is left", func() bool { return !alive(pid) })
	}
}

// procUser is the name of the user that runs the test, as the example says it.
func procUser(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("id", "-un").Output()
	if err != nil {
		return strconv.Itoa(os.Geteuid())
	}
	return strings.TrimSpace(string(out))
}

// The example's workers can be another user, to whom the folder of the program is
// closed (/root/go/bin).
func TestExampleTCPAsAnotherUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	closed := folder(t)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(closed, "tcp")
	copyFile(t, programs.tcp, program, 0o755)
	dir := folder(t)
	s := launchCommand(t, dir, exec.Command(program, "-listen", "127.0.0.1:0", "-workers", "2", "-uid", "nobody", "-working-path", dir))
	s.log.wait(t, ": workers [", s.exited)
	s.address = listenLine.FindStringSubmatch(s.log.String())[1]
	for _, g := range s.greetAll(2) {
		if g.user != "nobody" || g.dir != dir {
			t.Errorf("%+v", g)
		}
		checkRights(t, g.pid, identity{uid: 65534, gid: 65534, groups: []int{65534}})
	}
}

// A program that only root may execute cannot be run as another user; the reason
// says so.
func TestProgramThatTheUserMayNotExecute(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := folder(t)
	program := filepath.Join(dir, "tcp")
	copyFile(t, programs.tcp, program, 0o700)
	s := launchCommand(t, dir, exec.Command(program, "-listen", "127.0.0.1:0", "-workers", "1", "-uid", "nobody", "-working-path", dir))
	s.fails(1, "exec the running binary: permission denied (as nobody: the file needs mode 0755)")
}

// report is what integration/facadeapp says of a process.
type report struct {
	PID, UID, WorkerID int
	Master, Worker     bool
	WorkerPIDs         []int
	Control, Dir       string
}

// startFacade runs the net/http program with opts; env are further variables.
func startFacade(t *testing.T, opts fugue.Options, env ...string) *server {
	t.Helper()
	dir := folder(t)
	if opts.ControlPath == "" {
		opts.ControlPath = filepath.Join(dir, "control.sock")
	}
	opts.Listen = []string{"127.0.0.1:0"}
	opts.WorkerKillTimeout = 10 * time.Second
	text, err := json.Marshal(struct {
		fugue.Options
		Started any `json:",omitempty"` // a func has no JSON
	}{Options: opts})
	if err != nil {
		t.Fatal(err)
	}
	cmd := withEnv(programs.facade, nil, append(env, "OPTIONS="+string(text))...)
	cmd.Dir = dir
	return launchCommand(t, dir, cmd)
}

// reports reads what the processes have said of themselves at that point.
func (s *server) reports(what string) []report {
	s.t.Helper()
	var found []report
	for line := range strings.Lines(s.log.String()) {
		text, is := strings.CutPrefix(line, "facadeapp "+what+" ")
		var r report
		if is && json.Unmarshal([]byte(text), &r) == nil {
			found = append(found, r)
		}
	}
	return found
}

// One program in both roles: who is what is known from the start of main; Started
// is called once in each process; the control socket serves; Stop in a worker has
// that worker replaced, Stop in the master ends all.
func TestFacade(t *testing.T) {
	t.Parallel()
	s := startFacade(t, fugue.Options{Workers: 3})
	s.waitReady()
	st := s.waitWorkers(3)
	s.log.waitN(t, "facadeapp started", 4, s.exited)
	if st.PID != s.pid {
		t.Errorf("status is of process %d, the master is %d", st.PID, s.pid)
	}
	checkRoles(t, s, st.PID)
	s.reach(pids(st))

	text := s.get("/stop")
	if text != "<nil>" {
		t.Errorf("Stop in a worker: %s", text)
	}
	eventually(t, "one worker has a successor", func() bool {
		now := s.status()
		return len(now.Workers) == 3 && len(pids(now)) == 3 && now.Counters.Spawned == 4
	})
	if n := s.status().Counters.Exits["crash"]; n != 0 {
		t.Errorf("a worker that stopped itself counts as %d crashes", n)
	}
	s.log.waitN(t, "facadeapp started", 5, s.exited)
	var me report
	if err := json.Unmarshal([]byte(s.get("/self")), &me); err != nil || !me.Worker || me.Control != s.controlPath() || me.Dir != s.dir {
		t.Errorf("%+v, %v", me, err)
	}
}

func checkRoles(t *testing.T, s *server, master int) {
	t.Helper()
	for _, when := range []string{"before", "started"} {
		for _, r := range s.reports(when) {
			isMaster := r.PID == master
			if r.Master != isMaster || r.Worker == isMaster || (r.WorkerID == 0) != isMaster {
				t.Errorf("%s: %+v; the master is %d", when, r, master)
			}
			if isMaster && when == "before" && (r.Control != "" || r.WorkerPIDs != nil) {
				t.Errorf("before Start the master knows %+v", r)
			}
			if isMaster && when == "started" && (r.Control != s.controlPath() || len(r.WorkerPIDs) != 3) {
				t.Errorf("in Started the master knows %+v", r)
			}
			if !isMaster && (r.WorkerPIDs != nil || r.Control != s.controlPath()) {
				t.Errorf("%s: a worker knows %+v", when, r)
			}
		}
	}
}

// Stop in the master is a graceful stop; Start then returns nil there and in the
// workers, and cannot be called again.
func TestFacadeStopInTheMaster(t *testing.T) {
	t.Parallel()
	s := startFacade(t, fugue.Options{Workers: 2}, "STOP_WHEN_STARTED=1")
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	after := s.reports("after")
	if len(after) != 3 || !after[len(after)-1].Master {
		t.Errorf("Start returned in %+v", after)
	}
	if strings.Contains(s.log.String(), "a second Start worked") {
		t.Error("Start can be called twice")
	}
}

// The options arrive: another user for the workers, their folder, their
// environment, the log files, the pid file; and the default control path.
func TestFacadeOptions(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir, tmp := folder(t), folder(t)
	s := startFacade(t, fugue.Options{Workers: 1, UID: "nobody", WorkingPath: dir, Umask: "0077", LogFile: filepath.Join(dir, "app.log"),
		MasterPIDPath: filepath.Join(dir, "app.pid"), TmpPath: tmp, Env: map[string]string{"FROM_OPTIONS": "yes"}})
	s.waitReady()
	waitText(t, filepath.Join(dir, "app.log"), "facadeapp started")
	var me report
	if err := json.Unmarshal([]byte(s.get("/self")), &me); err != nil || me.UID != 65534 || me.Dir != dir {
		t.Errorf("%+v, %v", me, err)
	}
	checkRights(t, me.PID, identity{uid: 65534, gid: 65534, groups: []int{65534}})
	if got, _ := variable(procEnviron(t, me.PID), "FROM_OPTIONS"); got != "yes" {
		t.Errorf("Env did not arrive: %q", got)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "app.pid")); err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(s.pid) {
		t.Errorf("pid file: %q, %v", text, err)
	}
	if n := len(s.reports("started")); n != 1 {
		t.Errorf("%d processes were started according to the master's own stderr", n)
	}
}

// What is wrong with the options is an error of Start, before anything is begun.
func TestFacadeWrongOptions(t *testing.T) {
	t.Parallel()
	for what, opts := range map[string]fugue.Options{
		"umask: ":                               {Umask: "1999"},
		"uid: ":                                 {UID: "root"},
		"max_surge: ":                           {MaxSurge: -1},
		"log_format: ":                          {LogFormat: "xml"},
		"listener.mode: \"rw\"":                 {Listeners: []fugue.Listener{{Address: "unix:/x", Mode: "rw"}}},
		"listener.mode: only for a unix socket": {Listeners: []fugue.Listener{{Address: "127.0.0.1:0", Mode: "0600"}}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := startFacade(t, opts)
			s.fails(1, what)
			if strings.Contains(s.log.String(), "msg=listening") {
				t.Error("it listened")
			}
		})
	}
}

// A façade program that is to be a daemon: the process that was started ends with
// status 0 when the workers are ready, and the master goes on without it.
func TestFacadeDaemon(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := startFacade(t, fugue.Options{Workers: 2, Daemonize: true, MasterPIDPath: filepath.Join(dir, "app.pid"), MasterLogFile: filepath.Join(dir, "master.log")})
	s.becomesDaemon(filepath.Join(dir, "app.pid"))
	s.reach(pids(s.waitWorkers(2)))
	waitText(t, filepath.Join(dir, "master.log"), "msg=ready")
}

// One that cannot start says why where it was started.
func TestFacadeDaemonThatCannotStart(t *testing.T) {
	t.Parallel()
	s := startFacade(t, fugue.Options{Workers: 1, Daemonize: true, LogFile: "/nowhere/app.log"})
	s.fails(1, "open log file /nowhere/app.log")
}
