package fugue_test

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/fugue-http/fugue"

// TestImportsRunOneWay pins the directions of DESIGN: cmd → master → pool,
// sockets, internal; fugue → master, worker; master and worker never meet, and
// pool can touch no process, no file and no clock.
func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	for pkg, forbidden := range map[string][]string{
		"/master":          {module + "/worker", module + "/httpwatch", module + "/cmd"},
		"/worker":          {module + "/master", module + "/internal/config", module + "/internal/control", module + "/cmd"},
		"/sockets":         {module + "/master", module + "/worker", module + "/internal/config"},
		"/master/pool":     {module + "/", "os", "syscall", "net", "golang.org/x/sys/unix", "io", "log/slog"},
		"/internal/wire":   {module + "/", "os", "net", "syscall"},
		"/internal/config": {module + "/master", module + "/worker", module + "/sockets"},
	} {
		deps := dependencies(t, "./"+strings.TrimPrefix(pkg, "/"))
		for _, dep := range deps {
			for _, bad := range forbidden {
				if dep == module+pkg {
					continue
				}
				if dep == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(dep, bad) || strings.HasPrefix(dep, bad+"/") && strings.HasPrefix(bad, module) {
					t.Errorf("%s%s imports %s", module, pkg, dep)
				}
			}
		}
	}
}

// dependencies lists what the package's own files import, and the packages of
// this module that it reaches by any way. (The standard library reaches os from
// everywhere; for pool only its own imports count.)
func dependencies(t *testing.T, dir string) []string {
	t.Helper()
	direct := goList(t, "-f", `{{join .Imports "\n"}}`, dir)
	for _, dep := range goList(t, "-deps", dir) {
		if strings.HasPrefix(dep, module) {
			direct = append(direct, dep)
		}
	}
	return direct
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Fields(string(out))
}

func TestPoolReadsNoClock(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("grep", "-nE", `time\.(Now|Since|Sleep|After|NewTimer|Tick)\b`, "-r", "master/pool", "--include=*.go").Output()
	if err == nil {
		t.Errorf("pool reads a clock:\n%s", out)
	}
}
