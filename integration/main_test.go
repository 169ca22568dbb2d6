package integration

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The programs under test, built once.
var programs struct{ dir, fugue, app, tcp, facade, plain string }

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	// Most of these tests wait for processes; one a CPU would leave the CPUs idle.
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("6")
	}
	dir, err := os.MkdirTemp("", "fugue-it")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	_ = os.Chmod(dir, 0o755) // workers under another user run the app from here
	programs.dir = dir
	if raceEnabled { // a program that ends would wait a second for other threads' reports
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	}
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build makes all programs in one go: they share most of their packages.
func build(dir string) error {
	args := []string{"build", "-o", dir + "/"}
	if raceEnabled {
		args = append(args, "-race")
	}
	for path, pkg := range map[*string]string{
		&programs.fugue:  "cmd/fugue-http",
		&programs.app:    "integration/testapp",
		&programs.tcp:    "examples/tcp",
		&programs.facade: "integration/facadeapp",
		&programs.plain:  "integration/plainapp",
	} {
		*path = filepath.Join(dir, filepath.Base(pkg))
		args = append(args, "../"+pkg)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
