package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFaultsAreSaidInWords(t *testing.T) {
	t.Parallel()
	const demo = "app.demo = true\n"
	cases := []struct{ name, text, want string }{
		// form of the file
		{"syntax", "workers = = 2", `unicorn.toml:1: `},
		{"key twice", demo + "workers = 1\nworkers = 2", `unicorn.toml:3: Key 'workers' has already been defined.`},
		{"not UTF-8", "a = \"\xff\"", `invalid UTF-8`},
		{"a file of brackets", strings.Repeat("[", 1<<19), `unicorn.toml:1: expected`},
		{"a list of lists", "a = " + strings.Repeat("[", 1<<19), `nested too deeply`},
		{"tables within tables", "a = " + strings.Repeat("{a=", 1<<17), `nested too deeply`},
		{"a long dotted key", "a" + strings.Repeat(".a", 1<<18) + " = 1", `nested too deeply`},

		// unknown keys
		{"misspelt", demo + "wokers = 1", `unicorn.toml:2: wokers: unknown key; did you mean workers?`},
		{"swapped letters", demo + "wrokers = 1", `did you mean workers?`},
		{"hyphens", demo + "max-surge = 1", `max-surge: unknown key; did you mean max_surge?`},
		{"capitals", demo + "Workers = 1", `Workers: unknown key; did you mean workers?`},
		{"far from any", demo + "zzzzzz = 1", `zzzzzz: unknown key` + "\n"},
		{"not printable", demo + `"\u001b[2J" = 1`, `unicorn.toml:2: "\x1b[2J": unknown key`},
		{"table misspelt", "[ap]\ndemo = true\n[app]\ndemo=true", `unicorn.toml:1: ap: unknown key; did you mean app?`},
		{"of another table, below", demo + "command = \"x\"", `command: unknown key; did you mean app.command?`},
		{"of another table, above", "[app]\ndemo = true\nworkers = 2", `unicorn.toml:3: app.workers: unknown key; did you mean workers?`},
		{"misspelt in a table", "[app]\ndemo = true\nstopsignl = \"TERM\"", `did you mean app.stop_signal?`},
		{"in the second listener", demo + "[[listener]]\naddress = \":1\"\n[[listener]]\naddress = \":2\"\nbaklog = 3\n", `unicorn.toml:6: listener.baklog: unknown key; did you mean listener.backlog?`},

		// other servers
		{"Unicorn: workers", demo + "worker_processes = 4", `worker_processes: unknown key; did you mean workers?`},
		{"Unicorn: hook", demo + "before_fork = 1", `not in fugue: the file holds no code`},
		{"Unicorn: preload", demo + "preload_app = true", `not needed: workers are started by exec`},
		{"Unicorn: tries", demo + "[[listener]]\naddress = \":1\"\ntries = 3", `listener.tries: not in fugue: `},
		{"gunicorn: bind", demo + "bind = \":1\"", `did you mean listen?`},
		{"gunicorn: max_requests", demo + "max_requests = 1", `did you mean recycle.max_requests?`},
		{"gunicorn: limits", demo + "limit_request_line = 1", `did you mean http.max_header_bytes? one limit for line and headers`},
		{"uWSGI: harakiri", demo + "harakiri = 1", `did you mean timeout?`},
		{"misplaced and foreign", demo + "backlog = 1", `did you mean listener.backlog?`},

		// to come
		{"key to come", demo + "http.max_body = \"1MiB\"", `unicorn.toml:2: http.max_body: known, but not in this version yet`},
		{"table to come", demo + "[admin]\nlisten = \":1\"", `unicorn.toml:2: admin: known, but not in this version yet`},
		{"key of a table to come", demo + "[http]\nmax_body = \"1MiB\"", `unicorn.toml:3: http.max_body: known, but not`},

		// watch
		{"status of no error", demo + "[watch]\nstatus = 200", `unicorn.toml:3: watch.status: must be 0 or a status of an error`},
		{"route without path", demo + "[[watch.route]]\ntimeout = \"1s\"", `watch.route.path: is required`},
		{"wrong pattern", demo + "[[watch.route]]\npath = \"a b c\"", `unicorn.toml:3: watch.route.path: "a b c" cannot be used`},
		{"two routes for the same", demo + "[[watch.route]]\npath = \"/x\"\n[[watch.route]]\npath = \"/x\"", `conflicts with`},

		// recycle
		{"jitter of nothing", demo + "[recycle]\nmax_requests_jitter = 5", `unicorn.toml:3: recycle.max_requests_jitter: has no effect without max_requests`},
		{"jitter of a fault", demo + "[recycle]\nmax_requests = \"1\"\nmax_requests_jitter = 5", `unicorn.toml:3: recycle.max_requests: must be a whole number`},
		{"requests negative", demo + "[recycle]\nmax_requests = -1", `unicorn.toml:3: recycle.max_requests: cannot be negative: -1`},
		{"requests beyond 32 bits", demo + "[recycle]\nmax_requests = 3000000000", `must be at most 1000000000`},
		{"memory too small", demo + "[recycle]\nmax_memory = \"512\"", `unicorn.toml:3: recycle.max_memory: must be at least "1MiB", not "512B"`},
		{"memory without unit", demo + "[recycle]\nmax_memory = 536870912", `a size needs its unit: write "512MiB"`},
		{"age too small", demo + "[recycle]\nmax_age = \"999ms\"", `unicorn.toml:3: recycle.max_age: must be at least "1s", not "999ms"`},

		// types
		{"bare duration", demo + "boot_timeout = 60", `boot_timeout: a duration needs its unit: write "60s"`},
		{"quoted bare duration", demo + `boot_timeout = "60"`, `write "60s"`},
		{"negative duration", demo + `boot_timeout = "-1s"`, `"-1s": a duration cannot be negative`},
		{"no duration", demo + `boot_timeout = "soon"`, `"soon" is not a duration`},
		{"duration too long", demo + `boot_timeout = "9999999999h"`, `is not a duration`},
		{"bare size", "[http]\nmax_header_bytes = 65536\n[app]\ndemo=true", `a size needs its unit: write "64KiB"`},
		{"mode as number", demo + "umask = 0o27", `umask: must be an octal string, not a number`},
		{"mode not octal", demo + `umask = "0999"`, `is not an octal string`},
		{"mode too large", demo + `umask = "1777"`, `"1777" is more than "0777"`},
		{"mode negative", demo + `umask = "-1"`, `is not an octal string`},
		{"number as string", demo + `workers = "2"`, `workers: must be a whole number, not the string "2"`},
		{"number with a point", demo + `workers = 2.0`, `must be a whole number, not the number 2`},
		{"bool as string", demo + `verbose = "yes"`, `must be true or false, not the string "yes"`},
		{"string as number", demo + `log_file = 1`, `must be a string, not the number 1`},
		{"empty string", demo + `log_file = ""`, `must not be empty`},
		{"NUL", demo + `log_file = "a\u0000b"`, `must not contain a NUL byte`},
		{"date", demo + "log_file = 2020-01-01", `must be a string, not a date`},
		{"table for a value", demo + "[listen]\na=1", `must be a string or a list of strings, not a table`},
		{"value for a table", "app = 1", `must be a table, [app], not the number 1`},
		{"one bracket", demo + "[listener]\naddress = \":1\"", `must be written [[listener]]`},
		{"list of numbers", demo + "listen = [\":1\", 2]", `must be a list of strings, not the number 2`},
		{"env value", "[app]\ndemo=true\nenv = {A = 1}", `A: must be a string, not the number 1`},

		// ranges and words
		{"too many", demo + "workers = 1025", `workers: must be at most 1024, not 1025`},
		{"negative", demo + "workers = -1", `workers: cannot be negative: -1`},
		{"far too many", demo + "workers = 9223372036854775807", `must be at most 1024`},
		{"backlog 0", demo + "[[listener]]\naddress=\":1\"\nbacklog = 0", `must be at least 1, not 0`},
		{"backlog", demo + "[[listener]]\naddress=\":1\"\nbacklog = 65536", `must be at most 65535`},
		{"boot_timeout 0", demo + `boot_timeout = "0s"`, `boot_timeout: must be at least "1ms", not "0s"`},
		{"worker_kill_timeout 0", demo + `worker_kill_timeout = "0s"`, `must be at least "1ms"`},
		{"heartbeat too short", demo + `heartbeat_timeout = "99ms"`, `must be at least "100ms", not "99ms"`},
		{"header limit too small", demo + "[http]\nmax_header_bytes = \"1B\"", `must be at least "1KiB"`},
		{"log_format", demo + `log_format = "xml"`, `log_format: must be text or json, not "xml"`},
		{"stop_signal", demo + `app.stop_signal = "KILL"`, `"KILL" cannot be used: one of HUP INT QUIT TERM`},
		{"ready", demo + `app.ready = "later"`, `"later" is none of auto, pipe, notify, http:///path and a duration`},
		{"ready too late", "boot_timeout = \"2s\"\n" + demo + `app.ready = "2s"`, `never is within boot_timeout`},

		// app
		{"no app", "workers = 2", `unicorn.toml: app: nothing to run`},
		{"empty command", "[app]\ncommand = []", `unicorn.toml:1: app: nothing to run`},
		{"two apps", "[app]\ncommand = \"x\"\ndemo = true", `unicorn.toml:3: app.demo: only one of command, root and demo may be given, not command and demo`},
		{"empty program", "[app]\ncommand = [\"\"]", `the program's name is empty`},
		{"proxy without a command", demo + "app.proxy = true", `unicorn.toml:2: app.proxy: needs command`},
		{"proxy of a word", "[app]\ncommand = \"x\"\nproxy = true\nready = \"pipe\"", `unicorn.toml:4: app.ready: "pipe" is not for proxy = true`},
		{"proxy with a port", "[app]\ncommand = \"x\"\nproxy = true\nenv = { PORT = \"1\" }", `app.env.PORT: with proxy = true each worker is given its own`},
		{"probe without proxy", "[app]\ncommand = \"x\"\nready = \"http:///up\"", `unicorn.toml:3: app.ready: a probe is for proxy = true`},
		{"probe of a host", "[app]\ncommand = \"x\"\nproxy = true\nready = \"http://localhost/up\"", `write "http:///path"`},
		{"probe of no path", "[app]\ncommand = \"x\"\nproxy = true\nready = \"http://\"", `write "http:///path"`},
		{"open quote", "[app]\ncommand = \"a 'b\"", `unicorn.toml:2: app.command: a single quote is not closed`},
		{"shell", "[app]\ncommand = \"a | b\"", `no shell is run`},
		{"env of the master", "[app]\ndemo=true\n[app.env]\nA = \"1\"\nLISTEN_PID = \"1\"", `unicorn.toml:5: app.env.LISTEN_PID: is set by the master for each worker`},
		{"env, any of ours", "[app]\ndemo=true\nenv = { FUGUE_X = \"1\" }", `is set by the master`},
		{"env name", "[app]\ndemo=true\n[app.env]\n\"A=B\" = \"1\"", `unicorn.toml:4: app.env."A=B": the name of a variable cannot contain =`},
		{"env without name", "[app]\ndemo=true\n[app.env]\n\"\" = \"1\"", `a variable needs a name`},
		{"env value with NUL", "[app]\ndemo=true\n[app.env]\nA = \"\\u0000\"", `must not contain a NUL byte`},

		// listeners
		{"address twice", demo + "listen = [\":80\",\n\":080\"]", `unicorn.toml:3: listen: ":080" is given twice`},
		{"address twice, in a listener", demo + "listen = \":80\"\n[[listener]]\naddress = \":80\"", `unicorn.toml:4: listener.address: ":80" is given twice`},
		{"no address", demo + "[[listener]]\nbacklog = 1", `unicorn.toml:2: listener.address: is required`},
		{"mode for TCP", demo + "[[listener]]\naddress = \":1\"\nmode = \"0600\"", `unicorn.toml:4: listener.mode: only for a unix socket with a path`},
		{"owner for abstract", demo + "[[listener]]\naddress = \"unix:@x\"\nowner = \"root\"", `listener.owner: only for a unix socket with a path`},
		{"reuseport for unix", demo + "[[listener]]\naddress = \"unix:/x\"\nreuseport = true", `only for a TCP address`},
		{"reuseport for systemd", demo + "[[listener]]\naddress = \"systemd:web\"\nreuseport = true", `only for a TCP address`},
		{"defer_accept for unix", demo + "[[listener]]\naddress = \"unix:/x\"\ndefer_accept = true", `only for TCP`},
		{"name with colon", demo + "[[listener]]\naddress = \":1\"\nname = \"a:b\"", `listener.name: "a:b" is not a name for a socket`},

		// identity
		{"uid root", demo + `uid = "root"`, `uid: workers would run as root; leave uid out`},
		{"uid 0", demo + `uid = 0`, `uid: workers would run as root`},
		{"uid -1", demo + `uid = -1`, `"-1" looks like a number`},
		{"uid 2^32-1", demo + `uid = 4294967295`, `stands for -1`},
		{"uid 2^32", demo + `uid = "4294967296"`, `is larger than any id`},
		{"uid 2^64", demo + `uid = "18446744073709551616"`, `is larger than any id`},
		{"uid hexadecimal", demo + `uid = "0x21"`, `looks like a number, but is none`},
		{"uid octal", demo + `uid = "033"`, `looks octal`},
		{"uid with space", demo + `uid = "a b"`, `is not a user or group name`},
		{"gid -1", demo + `gid = "-1"`, `gid: "-1" looks like a number`},

		{"control path too long", demo + `tmp_path = "/` + strings.Repeat("x", 90) + `"`, `tmp_path: the control socket`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := faultsOf(t, c.text) + "\n"; !strings.Contains(got, c.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("\n%.200s\ngot  %.500s\nwant %s", c.text, got, c.want)
			}
		})
	}
}

func TestAllFaultsAreReportedTogetherInOrder(t *testing.T) {
	t.Parallel()
	got := faultsOf(t, "workers = 5000\nwokers = 1\n[http]\nlinger = 5\n[app]\ncommand = \"a 'b\"\n")
	want := `unicorn.toml:1: workers: must be at most 1024, not 5000
unicorn.toml:2: wokers: unknown key; did you mean workers?
unicorn.toml:4: http.linger: a duration needs its unit: write "5s"
unicorn.toml:6: app.command: a single quote is not closed`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A file of 1 MiB in which everything is wrong takes no longer than one of a
// hundred faults.
func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	var keys, addresses strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&keys, "wokers%d = 1\n", i)
		fmt.Fprintf(&addresses, "'x%d',\n", i)
	}
	for name, text := range map[string]string{
		"keys": keys.String(), "addresses": "app.demo = true\nlisten = [" + addresses.String() + "]",
	} {
		if got := strings.Count(faultsOf(t, text), "\n") + 1; got < 100 || got > 110 {
			t.Errorf("%s: %d faults", name, got)
		}
	}
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo, big, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "big"), filepath.Join(dir, "link")
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.WriteFile(big, make([]byte, maxFile+1), 0o600), os.Symlink(fifo, link)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file",
		dir:                        "is a folder, not a file",
		fifo:                       "is not a regular file",
		link:                       "is not a regular file",
		"/dev/null":                "is not a regular file",
		big:                        "is larger than 1 MiB",
		big + "/x":                 "cannot be read: not a directory",
		"":                         "no such file",
	} {
		_, err := loadWithin(t, path)
		if faults, ok := err.(Faults); !ok || len(faults) != 1 || !strings.Contains(faults[0].Text, want) || faults[0].File != path {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

// loadWithin fails the test if Load blocks, as an open of a FIFO would.
func loadWithin(t *testing.T, path string) (*Config, error) {
	t.Helper()
	type result struct {
		c   *Config
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := Load(path)
		done <- result{c, err}
	}()
	select {
	case r := <-done:
		return r.c, r.err
	case <-time.After(10 * time.Second):
		t.Fatalf("Load(%q) blocks", path)
		return nil, nil
	}
}

func TestASymlinkToAFileIsFollowedAndNotResolved(t *testing.T) {
	t.Parallel()
	target := write(t, "app.root = \"pub\"")
	link := filepath.Join(t.TempDir(), "link.toml")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	c, err := Load(link)
	if err != nil || c.App.Root != filepath.Dir(link)+"/pub" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestForeignNamesLeadToKeysOfOurs(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, path := range knownPaths() {
		known[path] = true
	}
	for name, f := range foreignNames {
		if f.use != "" && !known[f.use] && !isNotYet(f.use) {
			t.Errorf("%s leads to %s, which is no key", name, f.use)
		}
		if known[name] {
			t.Errorf("%s is foreign and a key", name)
		}
		if f.use == "" && !strings.HasPrefix(f.why, "not in fugue: ") && !strings.HasPrefix(f.why, "not needed: ") {
			t.Errorf("%s: %q", name, f.why)
		}
	}
}

func TestKeysToComeAreNotYetThere(t *testing.T) {
	t.Parallel()
	for _, k := range Keys() {
		if isNotYet(k.Name) {
			t.Errorf("%s is there: take it out of notYet", k.Name)
		}
	}
}

func ExampleFault_String() {
	fmt.Println(Fault{File: "unicorn.toml", Line: 12, Key: "worker_processes", Text: unknown("", "worker_processes")})
	fmt.Println(Fault{Key: "workers", Text: "must be at most 1024, not 5000"})
	// Output:
	// unicorn.toml:12: worker_processes: unknown key; did you mean workers?
	// workers: must be at most 1024, not 5000
}
