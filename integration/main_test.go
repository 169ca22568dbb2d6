package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The programs under test, built once.
var programs struct{ dir, fugue, app, tcp, facade string }

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fugue-it")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	_ = os.Chmod(dir, 0o755) // workers under another user run the app from here
	programs.dir = dir
	for _, p := range []struct {
		path *string
		pkg  string
	}{
		{&programs.fugue, "cmd/fugue-http"},
		{&programs.app, "integration/testapp"},
		{&programs.tcp, "examples/tcp"},
		{&programs.facade, "integration/facadeapp"},
	} {
		*p.path = filepath.Join(dir, filepath.Base(p.pkg))
		if err := build(*p.path, p.pkg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

func build(to, pkg string) error {
	args := []string{"build", "-o", to}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "../"+pkg)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}
