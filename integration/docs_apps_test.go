package integration

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What docs/apps.md shows runs as it stands there: the program beside the settings,
// both as a reader would copy them.
func TestDocsApps(t *testing.T) {
	t.Parallel()
	needs := map[string][]string{ // beside node for .js, python3 for .py
		"gunicorn, uvicorn": {"gunicorn"},
	}
	samples := appSamples(t)
	if len(samples) < 7 {
		t.Fatalf("only %d samples are found", len(samples))
	}
	for _, s := range samples {
		t.Run(s.section+"/"+s.name, func(t *testing.T) {
			t.Parallel()
			for _, tool := range append(needs[s.section], interpreters[filepath.Ext(s.name)]) {
				needProgram(t, tool)
			}
			s.run(t)
		})
	}
}

var interpreters = map[string]string{".go": "go", ".js": "node", ".py": "python3"}

// appSample is a program of the page, and the settings that follow it.
type appSample struct{ section, name, program, settings string }

var fenced = regexp.MustCompile("(?m)^## (.+)$|(?s)```[a-z]+\n(?://|#) (\\S+)\n(.*?)```")

func appSamples(t *testing.T) (all []appSample) {
	t.Helper()
	s := appSample{}
	for _, m := range fenced.FindAllStringSubmatch(readAll(t, "../docs/apps.md"), -1) {
		switch {
		case m[1] != "":
			s.section = m[1]
		case m[2] == "unicorn.toml":
			s.settings = m[3]
			all = append(all, s)
		default:
			s.name, s.program = m[2], m[3]
		}
	}
	return all
}

func (a appSample) run(t *testing.T) {
	t.Helper()
	dir, _ := settings(t, "workers = 2\n"+a.settings)
	path := filepath.Join(dir, a.name)
	put(t, path, a.program)
	for _, client := range []string{"node/fugue.js", "python/fugue.py"} {
		put(t, filepath.Join(dir, filepath.Base(client)), readAll(t, "../examples/"+client))
	}
	if strings.HasSuffix(a.name, ".go") { // from here, where go.mod says what it imports
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "app"), path).CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	s := again(t, dir)
	s.waitReady()
	for range 4 {
		if got := s.get("/"); got != "hello\n" {
			t.Errorf("it says %q", got)
		}
	}
	s.ok("reload", s.hup)
	s.get("/")
	s.signal(15)
	if code := s.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
