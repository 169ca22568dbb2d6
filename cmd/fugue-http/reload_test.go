package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/sockets"
)

// reloadable is a master on socket that answers each client that waits with o,
// and everybody else by itself.
func reloadable(t *testing.T, socket string, o control.Outcome, refused string) (heard <-chan control.Ask) {
	t.Helper()
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
				a.Reply(control.Answer{Refused: refused})
				if a.Waiter != nil && refused == "" {
					a.Waiter.Answer(o)
				}
			case <-over:
				return
			}
		}
	})
	t.Cleanup(func() { s.Close(); close(over); loop.Wait() })
	return told
}

func TestReloadVerbs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line string
		outcome    control.Outcome
		refused    string
		code       int
		out, errs  string
	}{
		{"not waiting", "reload", control.Outcome{}, "", 0, "reload asked for\n", ""},
		{"upgrade", "upgrade", control.Outcome{}, "", 0, "upgrade asked for\n", ""},
		{"waiting", "reload --wait", control.Outcome{OK: true, Generation: 3}, "", 0, "reloaded: generation 3\n", ""},
		{"upgrade, waiting", "upgrade --wait", control.Outcome{OK: true, Generation: 1}, "", 0, "upgraded: generation 1\n", ""},
		{"failed", "upgrade --wait", control.Outcome{Reason: "the new binary ends with 1"}, "", 1, "", "fugue-http: upgrade failed: the new binary ends with 1\n"},
		{"faults", "reload --wait", control.Outcome{Reason: "u.toml:1: one\nu.toml:2: two\n"}, "", 1, "", "fugue-http: reload failed:\nu.toml:1: one\nu.toml:2: two\n"},
		{"escapes", "reload --wait", control.Outcome{Reason: "a\x1b[2Jb"}, "", 1, "", "fugue-http: reload failed: a?[2Jb\n"},
		{"refused", "reload", control.Outcome{}, "the server is stopping", 1, "", "fugue-http: reload: the server is stopping\n"},
		{"refused, waiting", "reload --wait", control.Outcome{}, "the server is stopping", 1, "", "fugue-http: reload: the server is stopping\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			socket := filepath.Join(shortDir(t), "s")
			heard := reloadable(t, socket, c.outcome, c.refused)
			code, out, errs := callMain(append(strings.Fields(c.line), "-s", socket)...)
			if code != c.code || out != c.out || errs != c.errs {
				t.Errorf("exit %d, %q, %q", code, out, errs)
			}
			want := map[bool]control.Kind{true: control.AskReload, false: control.AskUpgrade}[strings.HasPrefix(c.line, "reload")]
			if a := <-heard; a.Kind != want || (a.Waiter != nil) != strings.Contains(c.line, "--wait") {
				t.Errorf("the master is asked %+v", a)
			}
		})
	}
}

// A broken file is what a reload may be asked to look at: the master says what is
// wrong with it, and what else it thinks of that.
func TestAReloadFindsTheMasterOfABrokenFile(t *testing.T) {
	t.Parallel()
	const faulty = "wokers = 1\n"
	for name, c := range map[string]struct{ text, socket string }{
		"unknown key":               {faulty + "control_path = \"s\"\n", "s"},
		"control_path itself":       {"control_path = 7\ntmp_path = \".\"\n", ""},
		"no TOML":                   {"control_path = \"s\" # here\nworkers = = 1\n", "s"},
		"no TOML, CRLF":             {"workers = = 1\r\ncontrol_path = './s'\r\n", "s"},
		"no TOML, default path":     {"tmp_path = \".\"\n[app\n", ""},
		"unknown key, default path": {faulty + "tmp_path = \".\"\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			path := file(t, dir, "u.toml", c.text)
			socket := filepath.Join(dir, c.socket)
			if c.socket == "" {
				cfg := config.Default()
				cfg.File, cfg.TmpPath = path, dir
				socket = cfg.Control()
				must(t, control.PrepareFolder(filepath.Dir(socket)))
			}
			reloadable(t, socket, control.Outcome{Reason: "as the master says"}, "")
			code, _, errs := callMain("reload", "--wait", "-c", path)
			if code != 1 || errs != "fugue-http: reload failed: as the master says\n" {
				t.Errorf("exit %d, %q", code, errs)
			}
			if code, _, errs = callMain("status", "-c", path); code != 2 || !strings.Contains(errs, "name the control socket with -s") {
				t.Errorf("status: exit %d, %q", code, errs)
			}
		})
	}
}

func TestAReloadWithABrokenFileAndNoMaster(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	for name, want := range map[string]string{
		file(t, dir, "key.toml", fmt.Sprintf("wokers = 1\ntmp_path = %q\n", dir)): ":1: wokers: unknown key",
		file(t, dir, "not.toml", fmt.Sprintf("tmp_path = %q\n= 1\n", dir)):        ":2: ",
		filepath.Join(dir, "none.toml"):                                           ": no such file",
		filepath.Join(dir, "folder"):                                              ": is a folder",
	} {
		code, out, errs := callMain("reload", "-c", name)
		if code != 2 || out != "" || !strings.Contains(errs, name+want) || !strings.Contains(errs, "name the control socket with -s") {
			t.Errorf("%s: exit %d, %q, %q", name, code, out, errs)
		}
	}
}
