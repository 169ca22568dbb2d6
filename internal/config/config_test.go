package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite unicorn.toml.example")

const exampleFile = "../../unicorn.toml.example"

// write puts text into a file of its own folder and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "unicorn.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// load loads text, which must be without fault.
func load(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Load(write(t, text))
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return c
}

// faultsOf loads text, which must have faults, and drops the file's folder.
func faultsOf(t *testing.T, text string) string {
	t.Helper()
	path := write(t, text)
	_, err := Load(path)
	if err == nil {
		t.Fatalf("no fault found in\n%s", text)
	}
	if _, ok := err.(Faults); !ok {
		t.Fatalf("error is a %T, not Faults", err)
	}
	return strings.ReplaceAll(err.Error(), path, "unicorn.toml")
}

func TestDefaultsAreThoseOfTheTags(t *testing.T) {
	t.Parallel()
	c := Default()
	if c.Listen[0] != "127.0.0.1:8080" || c.HeartbeatTimeout != 10*time.Second || c.HTTP.MaxHeaderBytes != 64<<10 {
		t.Errorf("defaults: %+v", c)
	}
	if !c.App.Demo || c.File != "" || c.Dir == "" {
		t.Errorf("without a file the demo runs from the current folder: %+v", c)
	}
	if faults := c.Validate(); len(faults) > 0 {
		t.Error(faults)
	}
}

func TestAFileSetsEveryType(t *testing.T) {
	t.Parallel()
	c := load(t, `
listen = ["127.0.0.1:1", "unix:run/app.sock"]
workers = 3
boot_timeout = "1m30s"
shutdown_delay = "5s"
log_file = "log/app.log"
uid = 33
umask = "0027"
no_new_privs = false
[[listener]]
address = "unix:@x"
backlog = 7
[[listener]]
address = "unix:/tmp/a.sock"
mode = "660"
[app]
command = './app "a b" c\ d'
env = { A = "1", "B.C" = "2" }
[recycle]
max_requests = 1000
max_requests_jitter = 50
max_memory = "512MiB"
max_age = "24h"
[http]
max_header_bytes = "10MB"
h2c = true
`)
	want := withDefaults[Config]()
	want.File, want.Dir = c.File, c.Dir
	want.Listen = []string{"127.0.0.1:1", "unix:" + c.Dir + "/run/app.sock"}
	want.Workers, want.BootTimeout, want.UID = 3, 90*time.Second, "33"
	want.LogFile = c.Dir + "/log/app.log"
	want.Umask, want.NoNewPrivs = Mode{0o027, true}, new(false)
	want.Listeners = []Listener{
		{Address: "unix:@x", Backlog: 7, Mode: Mode{Bits: 0o666}},
		{Address: "unix:/tmp/a.sock", Backlog: 1024, Mode: Mode{0o660, true}},
	}
	want.App.Command = []string{c.Dir + "/app", "a b", "c d"}
	want.App.Env = map[string]string{"A": "1", "B.C": "2"}
	want.ShutdownDelay = 5 * time.Second
	want.Recycle = Recycle{MaxRequests: 1000, MaxRequestsJitter: 50, MaxMemory: 512 << 20, MaxAge: 24 * time.Hour}
	want.HTTP.MaxHeaderBytes, want.HTTP.H2C = 10_000_000, true
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestListenHasItsDefaultOnlyWithoutListeners(t *testing.T) {
	t.Parallel()
	c := load(t, "[[listener]]\naddress = \":1\"\n[app]\ndemo = true")
	if got := c.Addresses(); len(got) != 1 || got[0].Address != ":1" {
		t.Errorf("addresses: %+v", got)
	}
	if got := load(t, "listen = []\n[app]\ndemo = true").Addresses(); len(got) != 0 {
		t.Errorf("addresses of an empty list: %+v", got)
	}
}

func TestAddressesOfListenHaveTheDefaultsOfListeners(t *testing.T) {
	t.Parallel()
	c := load(t, "listen = \":1\"\n[[listener]]\naddress = \":2\"\n[app]\ndemo = true")
	got := c.Addresses()
	got[0].Address = got[1].Address
	if len(got) != 2 || got[0] != got[1] {
		t.Errorf("differ: %+v", got)
	}
}

func TestOverridesComeBeforeValidation(t *testing.T) {
	t.Parallel()
	command := func(c *Config) { c.App.Command = []string{"./x"} }
	path := write(t, "workers = 2")
	if c, err := Load(path, command); err != nil || c.App.Command[0] != "./x" {
		t.Errorf("%+v, %v", c, err)
	}
	_, err := Load(path, command, func(c *Config) { c.Workers = 5000 })
	if err == nil || !strings.Contains(err.Error(), "workers: must be at most 1024, not 5000") {
		t.Error(err)
	}
}

func TestWhatIsPrintedLoadsAgain(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"defaults":  "[app]\ndemo = true",
		"listeners": "[[listener]]\naddress = \":1\"\nname = \"w\"\n[[listener]]\naddress = \"unix:/a\"\nmode = \"0600\"\nowner = \"root\"\n[app]\nroot = \"pub\"",
		"strings":   "uid = \"www\"\ngid = 5\numask = \"0\"\nno_new_privs = true\nlog_file = \"a\\u0007\\\"\\\\ü\\u007f\"\n[app]\ncommand = [\"x\", \"\", \"a\\nb\"]\nenv = {A=\"\\t\", \"ä b\"=\"2\", \"\\u0001\"=\"\"}\nready = \"5s\"",
		"routes":    "timeout=\"250ms\"\n[app]\ndemo=true\n[watch]\nstatus=0\n[[watch.route]]\npath=\"/a/\"\ntimeout=\"5m\"\n[[watch.route]]\npath=\"/b\"\nmethods=[\"GET\",\"post\"]\ntimeout=\"0s\"",
		"recycle":   "shutdown_delay=\"1500ms\"\n[app]\ndemo=true\n[recycle]\nmax_requests=1\nmax_requests_jitter=1000000000\nmax_memory=\"1MiB\"\nmax_age=\"1s\"",
		"numbers":   "listen=[]\nheartbeat_timeout=\"0s\"\nboot_timeout=\"1h\"\nworker_kill_timeout=\"1h0m1.5s\"\n[http]\nidle_timeout=\"90m\"\nlinger=\"1ns\"\nmax_header_bytes=\"0\"\n[app]\ndemo=true",
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := load(t, text)
			var b strings.Builder
			if err := first.WriteTOML(&b); err != nil {
				t.Fatal(err)
			}
			second := load(t, b.String())
			second.File, second.Dir = first.File, first.Dir
			if !reflect.DeepEqual(first, second) {
				t.Errorf("%s\ngot  %+v\nwant %+v", b.String(), second, first)
			}
			for _, k := range Keys() {
				if k.Table != "listener" && k.Table != "watch.route" && !strings.Contains(b.String(), lastName(k.Name)) {
					t.Errorf("%s is missing in\n%s", k.Name, b.String())
				}
			}
		})
	}
}

func TestExampleFileIsUpToDate(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := WriteExample(&b); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(exampleFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(exampleFile)
	if err != nil || string(committed) != b.String() {
		t.Errorf("%s is not what the settings say (%v): go test ./internal/config -update", exampleFile, err)
	}
}

func TestExampleFileIsTheDefault(t *testing.T) {
	t.Parallel()
	c, err := Load(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.File, want.Dir = c.File, c.Dir
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestExampleFileHasEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Keys() {
		if !strings.Contains(string(text), "\n# "+k.Doc) && !strings.Contains(string(text), "\n# # "+k.Doc) {
			t.Errorf("%s lacks its sentence", k.Name)
		}
		if !strings.Contains(string(text), lastName(k.Name)+" = ") {
			t.Errorf("%s is missing", k.Name)
		}
	}
}

// Whatever the example shows, commented out or not, can be used as it stands.
func TestEverySampleLoads(t *testing.T) {
	t.Parallel()
	for _, k := range Keys() {
		line := lastName(k.Name) + " = " + k.Sample + k.Default + "\n"
		switch {
		case k.Name == "app.command" || k.Name == "app.root":
			load(t, "[app]\n"+line)
		case k.Name == "app.demo":
			load(t, "[app]\ndemo = true\n")
		case k.Name == "listener.address":
			load(t, "[app]\ndemo = true\n[[listener]]\n"+line)
		case k.Table == "listener":
			load(t, "[app]\ndemo = true\n[[listener]]\naddress = \"unix:/x\"\n"+line)
		case k.Name == "watch.route.path":
			load(t, "app.demo = true\n[[watch.route]]\n"+line)
		case k.Table == "watch.route":
			load(t, "app.demo = true\n[[watch.route]]\npath = \"/x\"\n"+line)
		case k.Table == "app":
			load(t, "[app]\ndemo = true\n"+line)
		case k.Table == "":
			load(t, "app.demo = true\n"+line)
		default:
			load(t, "app.demo = true\n["+k.Table+"]\n"+line)
		}
	}
}

func TestTheSampleOfAListenerLoads(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(text), "\n# [[listener]]\n")
	sample, _, _ = strings.Cut(sample, "\n\n")
	sample = strings.ReplaceAll("\n"+sample, "\n#", "\n")
	c := load(t, "app.demo = true\n[[listener]]\n"+sample)
	if len(c.Listeners) != 1 || c.Listeners[0].Address != "unix:/run/app.sock" || c.Listeners[0].Backlog != 1024 {
		t.Errorf("%+v", c.Listeners)
	}
}

func TestEveryKeyHasASentenceAndAValue(t *testing.T) {
	t.Parallel()
	for _, k := range Keys() {
		if k.Doc == "" || k.Type == "" || k.Sample+k.Default == "" {
			t.Errorf("incomplete: %+v", k)
		}
	}
}

func TestMarkdownHasEveryKeyOnce(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	rows := strings.Count(b.String(), "\n| `")
	if rows != len(Keys()) || !strings.Contains(b.String(), "## `[[listener]]`") {
		t.Errorf("%d rows for %d keys:\n%s", rows, len(Keys()), b.String())
	}
}
