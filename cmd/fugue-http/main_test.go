package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/sockets"
)

// With this variable set the test binary is fugue-http: the launcher, the
// master, and all that these start.
const programEnv = "FUGUE_HTTP_TEST"

const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// callMain is a call of the program that starts no process.
func callMain(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = program{out: &o, err: &e}.main(args)
	return code, o.String(), e.String()
}

// shortDir is a folder whose paths fit into an address.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fh")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func file(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// fakeMaster answers on a control socket and remembers what it was asked.
func fakeMaster(t *testing.T, st control.Status) (socket string, heard <-chan control.Ask) {
	t.Helper()
	socket = filepath.Join(shortDir(t), "s")
	l, err := sockets.Listen(sockets.Address{Network: "unix", Path: socket}, sockets.Options{Owner: -1, Group: -1})
	must(t, err)
	asks, over, told := make(chan control.Ask), make(chan struct{}), make(chan control.Ask, 100)
	s, err := control.Serve(l, asks, func(string) (int, int) { return 1, 1024 })
	must(t, err)
	var loop sync.WaitGroup
	loop.Go(func() {
		for {
			select {
			case a := <-asks:
				told <- a
				a.Reply(control.Answer{Status: st})
			case <-over:
				return
			}
		}
	})
	t.Cleanup(func() { s.Close(); close(over); loop.Wait() })
	return socket, told
}

func TestVerbsReachTheMaster(t *testing.T) {
	t.Parallel()
	socket, heard := fakeMaster(t, control.Status{WorkersWanted: 5})
	for _, c := range []struct {
		line, out string
		kind      control.Kind
		n         int
	}{
		{"scale 0", "workers wanted: 5\n", control.AskScale, 0},
		{"scale 7", "workers wanted: 5\n", control.AskScale, 7},
		{"scale +2", "workers wanted: 5\n", control.AskScaleBy, 2},
		{"scale -2", "workers wanted: 5\n", control.AskScaleBy, -2},
		{"reopen-logs", "", control.AskReopenLogs, 0},
	} {
		code, out, errs := callMain(append(strings.Fields(c.line), "-s", socket)...)
		if code != 0 || out != c.out || errs != "" {
			t.Fatalf("%s: exit %d, %q, %q", c.line, code, out, errs)
		}
		if a := <-heard; a.Kind != c.kind || a.N != c.n {
			t.Errorf("%s: %+v", c.line, a)
		}
	}
	for _, wrong := range []string{"two", "+", "1.5", "++1", "99999999999"} {
		if code, _, errs := callMain("scale", wrong, "-s", socket); code != 2 || !strings.Contains(errs, "is not N, +K or -K") {
			t.Errorf("%s: exit %d, %q", wrong, code, errs)
		}
	}
}

func TestStatusAsJSON(t *testing.T) {
	t.Parallel()
	socket, _ := fakeMaster(t, control.Status{PID: 77, State: "running"})
	code, out, _ := callMain("status", "--json", "-s", socket)
	var st control.Status
	if err := json.Unmarshal([]byte(out), &st); code != 0 || err != nil || st.PID != 77 {
		t.Errorf("exit %d, %v, %s", code, err, out)
	}
}

func TestVerbsFindTheMasterByItsFile(t *testing.T) {
	t.Parallel()
	socket, _ := fakeMaster(t, control.Status{State: "running"})
	dir := shortDir(t)
	good := file(t, dir, "good.toml", fmt.Sprintf("control_path = %q\n[app]\ndemo = true\n", socket))
	broken := file(t, dir, "broken.toml", "wokers = 1\n")
	for line, want := range map[string]string{
		"-c " + good:                     "",
		"-c " + broken + " -s " + socket: "",
		"-c " + broken:                   broken + ":1: wokers: unknown key; did you mean workers?\n",
		"-c " + dir + "/none":            "none: no such file\n",
	} {
		code, out, errs := callMain(append(strings.Fields(line), "status")...)
		if ok := code == 0 && errs == "" && out != ""; want == "" && !ok {
			t.Errorf("%s: exit %d, %q", line, code, errs)
		}
		hint := "name the control socket with -s"
		if told := strings.Contains(errs, want) && strings.Contains(errs, hint); want != "" && (code != 2 || !told) {
			t.Errorf("%s: exit %d, %q", line, code, errs)
		}
	}
}

func TestSettingsAreTestedAndPrinted(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	good := file(t, dir, "good.toml", "workers = 3\n[app]\ndemo = true\n")
	bad := file(t, dir, "bad.toml", "workers = -1\nworking_path = \"/none\"\nlisten = \"8080\"\n[app]\ndemo = true\n")
	lost := file(t, dir, "lost.toml", "working_path = \"/none\"\n[app]\nroot = \"/none\"\n")
	for _, c := range []struct {
		line string
		code int
		out  string
		errs []string
	}{
		{"-t -c " + good, 0, good + ": ok\n", nil},
		{"-t", 0, "settings: ok\n", nil},
		{"-t -w -1", 2, "", []string{"workers: "}},
		{"-t -c " + bad, 2, "", []string{bad + ":1: workers: ", bad + `:3: listen: "8080" is not an address`}},
		{"-t -c " + lost, 2, "", []string{"working_path: ", "app.root: "}},
		{"-c " + lost, 2, "", []string{"working_path: ", "app.root: "}}, // nor does it start
		{"-t -- ./none", 2, "", []string{"/none\" does not exist"}},
		{"-T -c " + bad, 2, "", []string{"workers: ", "listen: "}},
	} {
		code, out, errs := callMain(strings.Fields(c.line)...)
		if code != c.code || out != c.out || strings.Count(errs, "\n") != len(c.errs) {
			t.Errorf("%s: exit %d, %q, %q, want %d, %q", c.line, code, out, errs, c.code, c.out)
		}
		for _, want := range c.errs {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: %q is not in %q", c.line, want, errs)
			}
		}
	}
	_, out, _ := callMain(strings.Fields("-T -w 9 -l :1 -c " + good)...)
	if !strings.Contains(out, "workers = 9\n") || !strings.Contains(out, "listen = \":1\"\n") {
		t.Errorf("got %s", out)
	}
}

func TestFlagsOverrideTheFile(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	path := file(t, dir, "u.toml", "workers = 3\nlog_file = \"l\"\n[app]\nroot = \"public\"\n[[listener]]\naddress = \":1\"\n")
	here, err := os.Getwd()
	must(t, err)
	c, err := parse(strings.Fields("-c " + path + " -l unix:s -l :2 -w 9 -s ctl -D -- ./app -x"))
	must(t, err)
	cfg, err := c.load()
	must(t, err)
	got := fmt.Sprintln(cfg.Listen, len(cfg.Listeners), cfg.Workers, cfg.ControlPath, cfg.Daemonize, app(cfg).Argv, cfg.LogFile)
	want := fmt.Sprintf("[unix:%s/s :2] 0 9 %s/ctl true [%s/app -x] %s/l\n", here, here, here, dir)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhatWorkersRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		app  config.App
		want string
	}{
		{config.App{Demo: true}, "{[fugue-http serve demo] true }"},
		{config.App{Root: "/srv"}, "{[fugue-http serve root /srv] true }"},
		{config.App{Command: []string{"/bin/app", "-x"}}, "{[/bin/app -x] false /bin/app}"},
	} {
		if got := fmt.Sprint(app(&config.Config{App: c.app})); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if _, err := builtin([]string{"root", "/none"}); err == nil {
		t.Error("a folder that is not there is served")
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080/",
		":8080":          "http://localhost:8080/",
		"[::]:80":        "http://localhost:80/",
		"[::1]:80":       "http://[::1]:80/",
		"127.0.0.1:0":    "127.0.0.1:0",
		"unix:/run/s":    "unix:/run/s",
	} {
		if got := link(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

// fugueHTTP is the program as a process of its own.
func fugueHTTP(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "fugue-http"
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), programEnv+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

func TestADaemonFromStartToStop(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	file(t, dir, "u.toml", "listen = \"127.0.0.1:0\"\ntmp_path = \".\"\nmaster_log_file = \"log\"\nworkers = 2\n[app]\ndemo = true\n")
	run := func(args ...string) string {
		out, err := fugueHTTP(dir, append(args, "-c", "u.toml")...).CombinedOutput()
		if err != nil {
			log, _ := os.ReadFile(dir + "/log")
			t.Fatalf("%s: %v\n%s\nlog:\n%s", args, err, out, log)
		}
		return string(out)
	}
	if out := run("-D"); out != "" {
		t.Errorf("it says %q", out)
	}
	var st control.Status
	must(t, json.Unmarshal([]byte(run("status", "--json")), &st))
	t.Cleanup(func() {
		if t.Failed() { // else it has stopped, and the number may be another's
			_ = syscall.Kill(st.PID, syscall.SIGKILL)
		}
	})
	if ready(st) == 0 || st.State != "running" {
		t.Errorf("%+v", st)
	}
	resp, err := http.Get("http://" + st.Listeners[0].Address + "/hello")
	must(t, err)
	resp.Body.Close()
	if again, err := fugueHTTP(dir, "-c", "u.toml", "-D").CombinedOutput(); err == nil {
		t.Errorf("a second one runs: %s", again)
	}
	if out := run("scale", "-1"); out != "workers wanted: 1\n" {
		t.Errorf("scale -1: %q", out)
	}
	if out := run("stop"); out != "" {
		t.Errorf("stop: %q", out)
	}
	out, err := fugueHTTP(dir, "status", "-c", "u.toml").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nothing listens on "+dir) {
		t.Errorf("status after stop: %v, %s", err, out)
	}
}

func TestADaemonThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	file(t, dir, "u.toml", "listen = \"192.0.2.1:1\"\ntmp_path = \".\"\ndaemonize = true\n[app]\ndemo = true\n")
	cmd := fugueHTTP(dir, "-c", "u.toml")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.HasPrefix(string(out), "fugue-http: listen on 192.0.2.1:1: ") {
		t.Errorf("exit %d, %s", code, out)
	}
}

// TestALostReaderDoesNotEndTheMaster is `fugue-http | head -1`.
func TestALostReaderDoesNotEndTheMaster(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	r, w, err := os.Pipe()
	must(t, err)
	must(t, r.Close())
	cmd := fugueHTTP(dir, "-l", "127.0.0.1:0", "-w", "1", "-s", "ctl")
	cmd.Stdout, cmd.Stderr = w, w
	must(t, cmd.Start())
	w.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	deadline := time.Now().Add(patience)
	for fugueHTTP(dir, "status", "-s", "ctl").Run() != nil && time.Now().Before(deadline) {
	}
	stop, err := fugueHTTP(dir, "stop", "--quick", "-s", "ctl").CombinedOutput()
	if err != nil {
		t.Errorf("stop: %v %s", err, stop)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the master ended with %v", err)
	}
}

func TestWatchGoesOnUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	socket, _ := fakeMaster(t, control.Status{State: "running"})
	cmd := fugueHTTP("", "status", "--json", "--watch", "-s", socket)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), `{"version"`) {
			t.Fatalf("got %q, %v", lines.Text(), lines.Err())
		}
	}
	must(t, cmd.Process.Signal(syscall.SIGINT))
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestPrintHidesValuesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{"TOKEN": "hunter2", "MODE": "fast"}
	hideValues(env)
	if env["TOKEN"] != "***" || env["MODE"] != "***" {
		t.Errorf("shown: %v", env)
	}
}

// An app that is missing is a failed start, a missing user a fault of the file.
func TestStartErrorTellsTheAppFromTheFile(t *testing.T) {
	t.Parallel()
	var faults config.Faults
	if errors.As(startError(config.Faults{{Key: "app.command", Text: "not found"}}), &faults) {
		t.Error("a missing app counts as a wrong file")
	}
	if !errors.As(startError(config.Faults{{Key: "app.command"}, {Key: "uid"}}), &faults) {
		t.Error("a missing user does not count as a wrong file")
	}
	if err := startError(nil); err != nil {
		t.Errorf("no fault is %v", err)
	}
}
