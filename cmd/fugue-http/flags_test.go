package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// told is what a command line means, in short.
func told(c *command) string {
	var parts []string
	add := func(name string, value any, given bool) {
		if given {
			parts = append(parts, fmt.Sprintf("%s=%v", name, value))
		}
	}
	if c.verb != nil {
		parts = append(parts, c.verb.name)
	}
	add("args", c.args, len(c.args) > 0)
	add("config", c.config, c.config != "")
	add("listen", c.listen, len(c.listen) > 0)
	add("workers", c.workers, c.workers != 0)
	add("control", c.control, c.control != "")
	for name, given := range map[string]bool{"D": c.daemonize, "t": c.test, "T": c.print, "version": c.version,
		"help": c.help, "json": c.json, "watch": c.watch, "quick": c.quick, "wait": c.wait} {
		add(name, given, given)
	}
	add("app", c.app, len(c.app) > 0)
	return strings.Join(parts, " ")
}

func TestCommandLines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                                "",
		"-c u.toml":                       "config=u.toml",
		"--config=u.toml -D":              "config=u.toml D=true",
		"-cu.toml -t":                     "config=u.toml t=true",
		"-w 4 -- ./app -x":                "workers=4 app=[./app -x]",
		"-l :80 -l unix:/s -- ./app -- -": "listen=[:80 unix:/s] app=[./app -- -]",
		"-l a,b":                          "listen=[a,b]",
		"-- status":                       "app=[status]",
		"-- ./app -2 --help":              "app=[./app -2 --help]",
		"status":                          "status",
		"status --json -c u.toml":         "status config=u.toml json=true",
		"-c u.toml --json status":         "status config=u.toml json=true",
		"-c u.toml status --watch":        "status config=u.toml watch=true",
		"scale 3":                         "scale args=[3]",
		"scale +3 -s /s":                  "scale args=[+3] control=/s",
		"scale -2":                        "scale args=[-2]",
		"scale -2 -c u.toml":              "scale args=[-2] config=u.toml",
		"scale -c u.toml -2":              "scale args=[-2] config=u.toml",
		"-s /s scale -12":                 "scale args=[-12] control=/s",
		"scale -s -2 -3":                  "scale args=[-3] control=-2",
		"--control -2 scale -3":           "scale args=[-3] control=-2",
		"-w -2":                           "workers=-2",
		"-Dw -2":                          "workers=-2 D=true",
		"-w4 -- x":                        "workers=4 app=[x]",
		"-c -- scale -2":                  "scale args=[-2] config=--",
		"stop --quick":                    "stop quick=true",
		"reopen-logs":                     "reopen-logs",
		"reload":                          "reload",
		"reload --wait -c u.toml":         "reload config=u.toml wait=true",
		"--wait -s /s upgrade":            "upgrade control=/s wait=true",
		"upgrade --wait=false":            "upgrade",
		"--help what -- ever":             "help=true app=[ever]",
		"-h":                              "help=true",
		"nonsense --version":              "version=true",
	} {
		t.Run(line, func(t *testing.T) {
			c, err := parse(strings.Fields(line))
			if err != nil {
				t.Fatal(err)
			}
			if got := told(c); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestWrongCommandLines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"--wat":                 "unknown flag: --wat",
		"-x":                    "unknown shorthand flag: 'x' in -x",
		"-2":                    "unknown flag: -2",
		"-c":                    "flag needs an argument: 'c' in -c",
		"--config=":             "--config needs a path",
		"-c u.toml --control=":  "--control needs a path",
		"-w many":               `invalid argument "many" for "-w, --workers"`,
		"--":                    "there is no program behind --",
		"stauts":                `unknown verb "stauts": did you mean status?`,
		"re":                    `unknown verb "re": did you mean reload?`,
		"restart":               `unknown verb "restart": did you mean reload`,
		"reload now":            `reload takes no argument, and got "now"`,
		"upgrade ./fugue-http":  `upgrade takes no argument, and got "./fugue-http"`,
		"stop --wait":           "--wait belongs to reload and upgrade",
		"--wait":                "--wait belongs to reload and upgrade",
		"reload --quick":        "--quick belongs to stop",
		"reload -t":             "--test is for running, not for reload",
		"shutdown":              "did you mean stop?",
		"xyzzy":                 `unknown verb "xyzzy"; there are status, incidents, reload, upgrade, scale, stop, reopen-logs`,
		"unicorn.toml":          "did you mean -c unicorn.toml?",
		"./app":                 "did you mean -- ./app?",
		"scale":                 "scale needs an argument: scale N|+K|-K",
		"scale 1 2":             `scale takes one argument, and got "2", too`,
		"scale -1 -2":           `scale takes one argument, and got "-2", too`,
		"status now":            `status takes no argument, and got "now"`,
		"--json":                "--json belongs to status",
		"stop --watch":          "--watch belongs to status",
		"status --quick":        "--quick belongs to stop",
		"status -D":             "--daemonize is for running, not for status",
		"-t stop":               "--test is for running, not for stop",
		"-T scale 1":            "--print is for running, not for scale",
		"status -- ./app":       "a program behind -- is for running, not for status",
		"-t -T":                 "-t and -T exclude each other",
		"serve":                 "serve takes demo, root and a folder, or proxy",
		"serve root":            "serve takes demo, root and a folder, or proxy",
		"-s /nowhere scale two": "nothing listens on /nowhere",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			code, out, errs := callMain(strings.Fields(line)...)
			wantCode := 2
			if strings.HasPrefix(want, "nothing listens") {
				wantCode = 1
			}
			if code != wantCode || out != "" || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("exit %d, stdout %q, stderr %q, want %d and %q", code, out, errs, wantCode, want)
			}
		})
	}
}

func TestUsageHasEveryFlagAndVerb(t *testing.T) {
	t.Parallel()
	code, text, errs := callMain("--help")
	if code != 0 || errs != "" {
		t.Errorf("exit %d, stderr %q", code, errs)
	}
	new(command).flags().VisitAll(func(f *pflag.Flag) {
		want := "--" + f.Name
		if f.Shorthand != "" {
			want = "-" + f.Shorthand + ", " + want
		}
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	})
	for _, v := range verbs {
		if !strings.Contains(text, "\n  "+v.synopsis()+" ") {
			t.Errorf("no %s", v.synopsis())
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 85 {
			t.Errorf("too wide: %s", line)
		}
	}
}

func TestVersionTellsTheGoVersionToo(t *testing.T) {
	t.Parallel()
	if code, out, _ := callMain("--version"); code != 0 || !strings.HasPrefix(out, "fugue-http ") || !strings.Contains(out, "(go1.") {
		t.Errorf("exit %d, %q", code, out)
	}
}

func TestEveryHintIsForAWordThatIsNoVerb(t *testing.T) {
	t.Parallel()
	for _, v := range verbs {
		if meant[v.name] != "" {
			t.Errorf("%s is a verb by now", v.name)
		}
	}
}
