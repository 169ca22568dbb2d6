package config

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// checked runs Check and returns all faults and warnings as text.
func checked(c *Config) (faults, warnings string) {
	f, w := c.Check()
	return f.Error(), strings.Join(w, "\n")
}

func TestADefaultPassesTheCheck(t *testing.T) {
	t.Parallel()
	if faults, warnings := checked(Default()); faults+warnings != "" {
		t.Error(faults, warnings)
	}
}

func TestCheckFindsWhatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, fifo := filepath.Join(dir, "file"), filepath.Join(dir, "fifo")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), syscall.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		set  func(*Config)
		want string
	}{
		{"working_path", func(c *Config) { c.WorkingPath = dir + "/none" }, `working_path: the folder "` + dir + `/none" does not exist`},
		{"working_path is a file", func(c *Config) { c.WorkingPath = file }, `working_path: "` + file + `" is not a folder`},
		{"tmp_path", func(c *Config) { c.TmpPath = dir + "/none" }, `tmp_path: the folder`},
		{"folder of the log", func(c *Config) { c.LogFile = dir + "/none/log" }, `log_file: the folder`},
		{"log is a folder", func(c *Config) { c.MasterLogFile = dir }, `master_log_file: "` + dir + `" is a folder`},
		{"folder of the pid file", func(c *Config) { c.MasterPIDPath = dir + "/none/pid" }, `master_pid_path: the folder`},
		{"control_path is a file", func(c *Config) { c.ControlPath = file }, `control_path: "` + file + `" is there and is not a socket`},
		{"folder of a socket", func(c *Config) { c.Listen = []string{"unix:" + dir + "/none/s"} }, `listen: the folder`},
		{"socket is a file", func(c *Config) { c.Listeners = []Listener{{Address: "unix:" + file}} }, `listener.address: "` + file + `" is there`},
		{"owner", func(c *Config) { c.Listeners = []Listener{{Address: "unix:" + dir + "/s", Owner: "nobody-here"}} }, `listener.owner: there is no user "nobody-here"`},
		{"group", func(c *Config) { c.Listeners = []Listener{{Address: "unix:" + dir + "/s", Group: "nobody-here"}} }, `listener.group: there is no group "nobody-here"`},
		{"uid", func(c *Config) { c.UID = "nobody-here" }, `uid: there is no user "nobody-here"`},
		{"gid", func(c *Config) { c.UID, c.GID = "1", "nobody-here" }, `gid: there is no group "nobody-here"`},
		{"gid alone", func(c *Config) { c.GID = "nobody-here" }, `gid: there is no group "nobody-here"`},
		{"uid without user and gid", func(c *Config) { c.UID = "987654" }, `uid: no user has the number 987654, so that gid is needed too`},
		{"root", func(c *Config) { c.App = App{Root: file} }, `app.root: "` + file + `" is not a folder`},
		{"program", func(c *Config) { c.App = App{Command: []string{dir + "/none"}} }, `app.command: "` + dir + `/none" does not exist`},
		{"program is a folder", func(c *Config) { c.App = App{Command: []string{dir}} }, `is a folder, not a program`},
		{"program is a FIFO", func(c *Config) { c.App = App{Command: []string{fifo}} }, `is not a regular file`},
		{"program not executable", func(c *Config) { c.App = App{Command: []string{file}} }, `is not executable: chmod +x`},
		{"program not in PATH", func(c *Config) { c.App = App{Command: []string{"nothing-here"}} }, `"nothing-here" is not found in PATH`},
		{"PATH of the app", func(c *Config) {
			c.App = App{Command: []string{"sh"}, Env: map[string]string{"PATH": dir + ":relative:"}}
		}, `"sh" is not found in PATH`},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			c := Default()
			x.set(c)
			if faults, _ := checked(c); !strings.HasPrefix(faults, x.want) && !strings.Contains(faults, x.want) || strings.Contains(faults, "\n") {
				t.Errorf("got %s\nwant %s", faults, x.want)
			}
		})
	}
}

// script writes an executable file.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckLooksForTheInterpreterOfAScript(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"#!/bin/sh\n":                        "",
		"#! /bin/sh -e\n":                    "",
		"#!/usr/bin/env sh\n":                "",
		"#!/usr/bin/env -S sh -e\n":          "",
		"no script":                          "",
		"":                                   "",
		"#!":                                 "",
		"#!/no/such/python3\nprint()":        `needs an interpreter: "/no/such/python3" does not exist`,
		"#!/bin/sh\r\n":                      `needs an interpreter: "/bin/sh\r" does not exist`,
		"#!/usr/bin/env no-such-program\n":   `needs an interpreter: "no-such-program" is not found in PATH`,
		"#!/etc/passwd\n":                    `needs an interpreter: "/etc/passwd" is not executable`,
		"#!/" + strings.Repeat("x", 5000):    `needs an interpreter`,
		"#!/usr/bin/env LANG=C no-such-it\n": "",
	} {
		c := Default()
		c.App = App{Command: []string{script(t, "app", text)}}
		if faults, _ := checked(c); !strings.Contains(faults, want) || want == "" && faults != "" {
			t.Errorf("%.40q: %s, want %s", text, faults, want)
		}
	}
}

func TestProgramIsFoundInThePathOfTheApp(t *testing.T) {
	t.Parallel()
	path := script(t, "an-app", "#!/bin/sh\n")
	c := Default()
	c.App = App{Command: []string{"an-app"}, Env: map[string]string{"PATH": "/none:" + filepath.Dir(path)}}
	if got, err := c.Program(); err != nil || got != path {
		t.Errorf("%s, %v", got, err)
	}
	c.Dir, c.App.Command = filepath.Dir(path), []string{"./an-app"}
	if got, err := c.Program(); err != nil || got != path {
		t.Errorf("%s, %v", got, err)
	}
}

func TestCheckAsRootMindsWhoCanWrite(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only of use as root")
	}
	open := func(mode fs.FileMode) string {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	c := Default()
	c.MasterPIDPath = open(0o777) + "/pid"
	if faults, _ := checked(c); !strings.Contains(faults, "can be written by anyone") {
		t.Errorf("pid file in a folder of all: %q", faults)
	}
	c.MasterPIDPath = open(0o777|fs.ModeSticky) + "/pid"
	if faults, _ := checked(c); faults != "" {
		t.Errorf("pid file in a sticky folder: %s", faults)
	}
	c.File = open(0o775) + "/unicorn.toml"
	if err := os.WriteFile(c.File, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, warnings := checked(c); !strings.Contains(warnings, "the folder of the settings file, can be written") {
		t.Errorf("folder: %q", warnings)
	}
	if err := os.Chmod(c.File, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, warnings := checked(c); strings.Count(warnings, "\n") != 1 {
		t.Errorf("file and folder: %q", warnings)
	}
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("no user nobody")
	}
	ids, err := toIDs(nobody.Uid, nobody.Gid)
	if err != nil {
		t.Fatal(err)
	}
	uid, own := ids[0], ids[1]
	cases := []struct {
		name, uid, gid string
		want           Identity
	}{
		{"by name", "nobody", "", Identity{uid, own, []uint32{own}, "nobody", nobody.HomeDir}},
		{"by number", nobody.Uid, "", Identity{uid, own, []uint32{own}, "nobody", nobody.HomeDir}},
		{"with another group", "nobody", "12345", Identity{uid, 12345, []uint32{12345}, "nobody", nobody.HomeDir}},
		{"number of nobody", "987654", "12345", Identity{987654, 12345, []uint32{12345}, "", ""}},
		{"group alone", "", "12345", Identity{uint32(os.Geteuid()), 12345, []uint32{12345}, "", ""}},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			got, err := (&Config{UID: x.uid, GID: x.gid}).Identity()
			if err != nil || got.UID != x.want.UID || got.GID != x.want.GID || !slices.Equal(got.Groups, x.want.Groups) || got.User != x.want.User || got.Home != x.want.Home {
				t.Errorf("got %+v, %v\nwant %+v", got, err, x.want)
			}
		})
	}
}

func TestNoIdentity(t *testing.T) {
	t.Parallel()
	if id, err := Default().Identity(); id != nil || err != nil {
		t.Errorf("%v, %v", id, err)
	}
	for _, uid := range []string{"root", "0", "987654", "-1", "4294967295", "nobody-here", "0x0", "00"} {
		if id, err := (&Config{UID: uid}).Identity(); id != nil || err == nil {
			t.Errorf("%s: %+v", uid, id)
		}
	}
}

func TestWorkersAndTheirShares(t *testing.T) {
	t.Parallel()
	cpus := runtime.GOMAXPROCS(0)
	c := Default()
	if got := c.WorkerCount(); got != max(2, cpus) {
		t.Errorf("%d workers on %d CPUs", got, cpus)
	}
	for _, x := range []struct{ workers, surge, wantSurge, wantProcs int }{
		{1, 0, 1, cpus}, {7, 0, 1, (cpus + 6) / 7}, {8, 0, 2, (cpus + 7) / 8}, {100, 0, 25, (cpus + 99) / 100}, {8, 5, 5, (cpus + 7) / 8},
	} {
		c.Workers, c.MaxSurge = x.workers, x.surge
		if c.WorkerCount() != x.workers || c.Surge() != x.wantSurge || c.GoMaxProcs() != x.wantProcs {
			t.Errorf("%+v: %d, %d, %d", x, c.WorkerCount(), c.Surge(), c.GoMaxProcs())
		}
	}
	c.App.GOMAXPROCS = 9
	if c.GoMaxProcs() != 9 {
		t.Error("gomaxprocs is not taken")
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, x := range []struct {
		workers          int
		max, group, want int64
	}{
		{4, 0, 0, 0},
		{4, 200 * mib, 0, 180 * mib},
		{4, 64 * mib, 0, 48 * mib},
		{4, 20 * mib, 0, 0}, // hardly room for the program itself
		{4, 0, 2000 * mib, 450 * mib},
		{64, 0, 2000 * mib, 0}, // too little for each to be held to it
		{4, 200 * mib, 2000 * mib, 180 * mib},
		{4, 1000 * mib, 2000 * mib, 450 * mib},
	} {
		c := Default()
		c.Workers, c.Recycle.MaxMemory = x.workers, Size(x.max)
		if got := c.MemoryLimit(x.group); got != x.want {
			t.Errorf("%+v: %d MiB", x, got/mib)
		}
		c.App.Proxy = true
		if got := c.MemoryLimit(x.group); got != 0 {
			t.Errorf("%+v: %d MiB for a proxy", x, got/mib)
		}
	}
}

func TestControlPaths(t *testing.T) {
	t.Parallel()
	a, b := Default(), Default()
	if a.Control() != b.Control() || !strings.HasPrefix(a.Control(), "/tmp/fugue-") || len(a.Control()) >= 100 {
		t.Errorf("%s, %s", a.Control(), b.Control())
	}
	b.Listen = []string{":1"}
	if a.Control() == b.Control() {
		t.Error("one control socket for two sets of addresses")
	}
	a.File, b.File = "/srv/unicorn.toml", "/srv/unicorn.toml"
	if a.Control() != b.Control() {
		t.Error("the path of the file decides, where there is one")
	}
	b.TmpPath = "/"
	if strings.HasPrefix(b.Control(), "//") {
		t.Error(b.Control())
	}
	b.ControlPath = "/run/x.sock"
	if b.Control() != "/run/x.sock" {
		t.Error(b.Control())
	}
}

func TestPathsAreMadeAbsoluteAndNothingElse(t *testing.T) {
	t.Parallel()
	c := Default()
	c.LogFile, c.WorkingPath, c.App.Root = "current/../log", ".", "~/x"
	c.App.Command = []string{"bin/app", "./arg"}
	c.Listen = []string{"unix:./s", "unix:@s", ":1"}
	c.Resolve("/d")
	c.Resolve("/other") // absolute paths stay
	want := []string{"/d/current/../log", "/d", "/d/~/x", "/d/bin/app", "./arg", "unix:/d/s", "unix:@s", ":1"}
	got := append([]string{c.LogFile, c.WorkingPath, c.App.Root}, append(c.App.Command, c.Listen...)...)
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	c.App.Command = []string{"app"}
	if c.Resolve("/d"); c.App.Command[0] != "app" {
		t.Error("a name without a slash is left for PATH")
	}
}

func TestNoNewPrivilegesFollowsUID(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		uid   string
		given *bool
		want  bool
	}{{"", nil, false}, {"www", nil, true}, {"www", new(false), false}, {"", new(true), true}} {
		if got := (&Config{UID: x.uid, NoNewPrivs: x.given}).NoNewPrivileges(); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
}
