package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A facade program that was started by a link: HUP follows the link to the new
// program, though the running one stands where it led to.
func TestReloadOfAFacadeProgramFollowsItsLink(t *testing.T) {
	t.Parallel()
	two, err := second()
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t)
	d := &deployment{server: &server{t: t, dir: dir}, apps: [2]string{programs.facade, two.facade}}
	link := d.releases()
	cmd := facadeCommand(t, link+"/app", dir)
	cmd.Args[0] = "current/app" // as from a shell in dir
	d.server = launchCommand(t, dir, cmd)
	d.waitReady()
	d.waitWorkers(2)
	d.answersWith(firstApp)
	d.point(link, "release2")
	d.ok("reload", d.hup)
	d.settled(2)
	d.answersWith(secondApp)
	d.ok("upgrade", d.usr2)
	if st := d.settled(2); st.Version != secondMaster {
		t.Errorf("USR2 has made a master of %s", st.Version)
	}
}

// A daemon that was started by a link, relative to a folder that it has left since.
func TestUpgradeOfADaemonFollowsItsLink(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 1\nmaster_pid_path = \"app.pid\"\nmaster_log_file = \"master.log\"\n", "")
	for i, from := range d.masters {
		must(t, os.Mkdir(filepath.Join(d.dir, fmt.Sprint("m", i+1)), 0o755))
		d.put(filepath.Join(d.dir, fmt.Sprint("m", i+1), "fugue-http"), from)
	}
	link := filepath.Join(d.dir, "now")
	d.point(link, "m1")
	cmd := exec.Command("now/fugue-http", "-c", "unicorn.toml", "-D")
	cmd.Path, cmd.Err = filepath.Join(link, "fugue-http"), nil
	cmd.Dir = d.dir
	d.server = launchCommand(t, d.dir, cmd)
	d.becomesDaemon(filepath.Join(d.dir, "app.pid"))
	d.point(link, "m2")
	d.ok("upgrade", d.usr2)
	d.settled(1)
	d.upgraded(1)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A log file that cannot be opened fails the reload, and nothing has changed; when it
// can be, the same file is taken.
func TestReloadOfALogFile(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\n", "")
	d.noCrash()
	before := d.waitWorkers(2)
	d.edit("workers = 2\n", "workers = 2\nlog_file = \"logs/app.log\"\nmaster_log_file = \"logs/master.log\"\n")
	if r := d.failed("reload", d.hup); !strings.Contains(r.Reason, ": log_file: the folder") || !strings.Contains(r.Reason, ": master_log_file: the folder") {
		t.Errorf("the reason is %q", r.Reason)
	}
	d.unchanged(before)
	must(t, os.MkdirAll(filepath.Join(d.dir, "logs", "app.log"), 0o755))
	if r := d.failed("reload", d.hup); !strings.Contains(r.Reason, "app.log") {
		t.Errorf("a folder in the place of the file: %q", r.Reason)
	}
	d.unchanged(before)
	must(t, os.Remove(filepath.Join(d.dir, "logs", "app.log")))
	d.ok("reload", d.hup)
	d.settled(2)
	d.get("/log?n=1&tag=hello")
	eventually(t, "the line is in the new file", func() bool {
		text, _ := os.ReadFile(filepath.Join(d.dir, "logs", "app.log"))
		return strings.Contains(string(text), "line hello 0")
	})
	if text := readAll(t, filepath.Join(d.dir, "logs", "master.log")); !strings.Contains(text, "reload done") {
		t.Errorf("the master's log has %q", text)
	}
}

// shell is a foreign app that only writes: its pid, until it is told to leave.
const shell = "#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do echo \"I am $$\"; sleep 0.1 & wait $!; done\n"

// The first worker of a reload that brings a log file was started without it. An app
// that cannot be handed a file later is started again.
func TestReloadBringsAForeignAppALogFile(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 2\n", "")
	d.script(d.app, shell, 0o755)
	d.edit("ready = \"pipe\"", "ready = \"100ms\"")
	d.run()
	d.waitWorkers(2)
	d.edit("workers = 2\n", "workers = 2\nlog_file = \"app.log\"\n")
	d.ok("reload", d.hup)
	eventually(t, "both workers write into the file", func() bool {
		text, _ := os.ReadFile(filepath.Join(d.dir, "app.log"))
		st := d.settled(2)
		for _, w := range st.Workers {
			if !strings.Contains(string(text), fmt.Sprintf("I am %d\n", w.PID)) {
				return false
			}
		}
		return true
	})
}

// A trial that hangs is ended by a stop, which does not wait for it.
func TestAStopEndsATrial(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 1\n", "")
	d.noCrash()
	mark := filepath.Join(d.dir, "trial")
	d.script(d.master, fmt.Sprintf("#!/bin/sh\necho $$ > %s.new && mv %s.new %s\nexec sleep 600\n", mark, mark, mark), 0o755)
	d.usr2()
	var pid int
	eventually(t, "the trial runs", func() bool {
		text, _ := os.ReadFile(mark)
		_, err := fmt.Sscan(string(text), &pid)
		return err == nil
	})
	took := timed(t, "the stop", func() {
		d.signal(syscall.SIGTERM)
		d.ends(0)
	})
	if took > patience/2 {
		t.Errorf("it took %s", took)
	}
	eventually(t, "the trial is gone", func() bool { return !alive(pid) })
}

// The workers of a reload know the listeners by their new names from the first on.
func TestReloadOfListenerNames(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 1\n", "[[listener]]\naddress = \"unix:app.sock\"\nname = \"old\"\n")
	d.waitWorkers(1)
	d.script(d.app, fmt.Sprintf("#!/bin/sh\necho \"$LISTEN_FDNAMES\" >> %s\nexec %s\n", filepath.Join(d.dir, "names"), d.apps[1]), 0o755)
	d.edit("name = \"old\"", "name = \"new\"")
	d.ok("reload", d.hup)
	d.settled(1)
	if names := readAll(t, filepath.Join(d.dir, "names")); strings.Contains(names, "old") || !strings.Contains(names, "new") {
		t.Errorf("the names are %q", names)
	}
}

// mute speaks the pipe and reads no commands; it is ready a while after it has begun,
// and leaves when it is told to by a signal.
const mute = `#!/bin/sh
trap 'echo told; exit 0' TERM
echo '{"type":"hello"}' >&"$FUGUE_PIPE_FD"
echo begun
while [ ! -e ready ]; do sleep 0.02; done
echo '{"type":"ready"}' >&"$FUGUE_PIPE_FD"
while :; do sleep 0.1 & wait $!; done
`

// An app that reads no commands is told by its signal, also if it was recalled before
// it was ready and has become so since.
func TestARecalledAppIsTold(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 1\nworking_path = \".\"\nworker_kill_timeout = \"60s\"\n", "")
	d.script(d.app, mute, 0o755)
	put(t, filepath.Join(d.dir, "ready"), "")
	d.run()
	d.waitWorkers(1)
	remove(t, filepath.Join(d.dir, "ready"))
	d.verb(0, "scale", "2")
	eventually(t, "the second one has begun", func() bool { return strings.Count(d.log.String(), "begun") == 2 })
	d.verb(0, "scale", "1")
	put(t, filepath.Join(d.dir, "ready"), "")
	took := timed(t, "the end", func() { d.settled(1) })
	if took > patience/2 || !strings.Contains(d.log.String(), "told") {
		t.Errorf("it left after %s", took)
	}
}
