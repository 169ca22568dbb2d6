package integration

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/fugue-http/fugue/internal/control"
)

// A file that is wrong or missing at HUP changes nothing: each fault is in the
// log, the reason in last_reload and in the words of `reload --wait` (F48).
func TestReloadOfAWrongFile(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // the parts run when this function has returned
	for _, c := range []struct {
		name  string
		spoil func(d *deployment)
		logs  []string
	}{
		{"missing", func(d *deployment) { remove(t, d.file) }, []string{"unicorn.toml", "no such file"}},
		{"unreadable", func(d *deployment) { unreadable(t, d.file) }, []string{"unicorn.toml"}},
		{"empty of sense", func(d *deployment) { d.edit("workers = 2", "workers = = 2") }, []string{"unicorn.toml", "workers"}},
		{"two unknown keys", func(d *deployment) { d.edit("workers = 2", "worker_processes = 2\ntimeot = \"3s\"") },
			[]string{"worker_processes", "timeot"}},
		{"unknown user", func(d *deployment) { d.edit("workers = 2", "workers = 2\nuid = \"nobody-of-that-name\"") },
			[]string{"uid", "nobody-of-that-name"}},
		{"port taken", func(d *deployment) {
			d.edit(`listen = "127.0.0.1:0"`, `listen = ["127.0.0.1:0", "`+taken.Addr().String()+`"]`)
		}, []string{taken.Addr().String(), "in use"}},
		{"one port taken, one free", func(d *deployment) {
			d.edit(`listen = "127.0.0.1:0"`, `listen = ["127.0.0.1:0", "unix:fresh.sock", "`+taken.Addr().String()+`"]`)
		}, []string{taken.Addr().String(), "in use"}},
		{"no app", func(d *deployment) { d.edit(d.app, d.app+".missing") }, []string{"app.missing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 2\n", "")
			d.noCrash()
			before := d.waitWorkers(2)
			right := readAll(t, d.file)
			c.spoil(d)
			r := d.failed("reload", d.hup)
			d.unchanged(before)
			d.says(c.logs...)
			if !strings.Contains(r.Reason, c.logs[0]) {
				t.Errorf("the reason does not say %q: %s", c.logs[0], r.Reason)
			}
			if out := d.verb(1, "reload", "--wait"); !strings.Contains(out, c.logs[0]) {
				t.Errorf("reload --wait does not say %q: %s", c.logs[0], out)
			}
			d.unchanged(before)
			sameListeners(t, before, d.look())
			if _, err := os.Lstat(d.dir + "/fresh.sock"); !os.IsNotExist(err) {
				t.Errorf("a listener was opened though another one could not be (%v)", err)
			}
			_ = os.RemoveAll(d.file)
			put(t, d.file, right)
			d.ok("reload", d.hup)
			d.get("/pid")
		})
	}
}

// unreadable keeps the text from everyone, root too: nobody can read a folder.
func unreadable(t testing.TB, path string) {
	t.Helper()
	remove(t, path)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func sameListeners(t testing.TB, before, now control.Status) {
	t.Helper()
	ok := len(before.Listeners) == len(now.Listeners)
	for i := range before.Listeners {
		ok = ok && before.Listeners[i].Address == now.Listeners[i].Address
	}
	if !ok {
		t.Errorf("listeners %+v have become %+v", before.Listeners, now.Listeners)
	}
}

// A key that is in the file no more has its default again, a new one is obeyed.
func TestReloadOfKeysThatAreGone(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 1\ntimeout = \"300ms\"\numask = \"0077\"\n", "env = { GREETING = \"hello\" }\n[watch]\nstatus = 503\n")
	if got := d.talk("GET", "/slow?for=1s"); got.status() != "503" {
		t.Errorf("a request that takes too long: %s", got)
	}
	me := d.self()
	if greeting, _ := me.variable("GREETING"); greeting != "hello" || me.Umask != 0o077 {
		t.Errorf("the worker has %q, umask %#o", greeting, me.Umask)
	}
	d.edit("timeout = \"300ms\"\n", "", "umask = \"0077\"\n", "", "env = { GREETING = \"hello\" }\n", "", "status = 503\n", "grace = \"1s\"\n")
	d.ok("reload", d.hup)
	d.settled(1)
	if got := d.talk("GET", "/slow?for=1s"); got.status() != "200" {
		t.Errorf("after the reload: %s", got)
	}
	me = d.self()
	if _, has := me.variable("GREETING"); has || me.Umask == 0o077 {
		t.Errorf("after the reload the worker has %q, umask %#o", me.Env, me.Umask)
	}
	d.edit("workers = 1\n", "workers = 1\ntimeout = \"300ms\"\n", "grace = \"1s\"\n", "grace = \"200ms\"\nstatus = 599\n")
	d.ok("reload", d.hup)
	d.settled(1)
	if got := d.talk("GET", "/slow?for=1s"); got.status() != "599" {
		t.Errorf("after the second reload: %s", got)
	}
}

// The number that was set at run time outlives a HUP, unless the file has another
// number than before; after WINCH all are back.
func TestReloadAndTheNumberOfWorkers(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\n", "")
	d.waitWorkers(2)
	d.post("/scale", `{"workers":4}`)
	d.waitWorkers(4)
	d.ok("reload", d.hup)
	d.settled(4)
	d.edit("workers = 2\n", "workers = 3\n")
	d.ok("reload", d.hup)
	d.settled(3)
	d.signal(syscall.SIGTTIN)
	d.waitWorkers(4)
	d.ok("reload", d.hup) // the file says what it said before
	d.settled(4)
	d.signal(syscall.SIGTTOU)
	d.waitWorkers(3)
	d.signal(syscall.SIGWINCH)
	d.waitWorkers(0)
	waiting := d.ask("/version")
	d.put(d.app, d.apps[1])
	d.ok("reload", d.hup)
	d.settled(3)
	if err := <-waiting; err != nil {
		t.Errorf("a request that waited for workers: %v", err)
	}
	d.answersWith(secondApp)
}
