// Package systemd has no code: it is an example of units, and these are tests
// that they fit each other, the settings and systemd itself.
package systemd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/config"
)

func settings(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Load("unicorn.toml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// value is what a unit file says of a key that it has once.
func value(t *testing.T, unit, key string) string {
	t.Helper()
	all := regexp.MustCompile(`(?m)^`+key+`=(.*)$`).FindAllStringSubmatch(read(t, unit), -1)
	if len(all) != 1 {
		t.Fatalf("%s has %d times %s", unit, len(all), key)
	}
	return all[0][1]
}

// seconds reads a time span of systemd's, as far as the unit uses them.
func seconds(t *testing.T, unit, key string) time.Duration {
	t.Helper()
	text := value(t, unit, key)
	scale := time.Second
	if short, ok := strings.CutSuffix(text, "min"); ok {
		text, scale = short, time.Minute
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %s=%s: %v", unit, key, text, err)
	}
	return time.Duration(n) * scale
}

func TestTheSettingsAreValid(t *testing.T) {
	t.Parallel()
	if faults := settings(t).Validate(); len(faults) > 0 {
		t.Error(faults)
	}
}

func TestTheSocketHasTheNameOfTheSettings(t *testing.T) {
	t.Parallel()
	want := "systemd:" + value(t, "fugue.socket", "FileDescriptorName")
	if listen := settings(t).Listen; len(listen) != 1 || listen[0] != want {
		t.Errorf("listen = %q, want %q", listen, want)
	}
}

func TestSystemdWaitsLongerThanTheMaster(t *testing.T) {
	t.Parallel()
	c := settings(t)
	const undying = 5 * time.Second // how long a stop waits for a process that SIGKILL does not end
	if stop := seconds(t, "fugue.service", "TimeoutStopSec"); stop <= c.ShutdownDelay+c.WorkerKillTimeout+undying {
		t.Errorf("TimeoutStopSec, %v, is not more than %v + %v + %v", stop, c.ShutdownDelay, c.WorkerKillTimeout, undying)
	}
	if start := seconds(t, "fugue.service", "TimeoutStartSec"); start <= c.BootTimeout+c.WorkerKillTimeout {
		t.Errorf("TimeoutStartSec, %v, is not more than one worker's start and another's drain", start)
	}
}

func TestTheControlSocketIsInTheRuntimeDirectory(t *testing.T) {
	t.Parallel()
	want := "/run/" + value(t, "fugue.service", "RuntimeDirectory")
	if got := filepath.Dir(settings(t).Control()); got != want {
		t.Errorf("%s is not %s", got, want)
	}
}

var versionOf = regexp.MustCompile(`^systemd (\d+)`)

func TestSystemdAcceptsTheUnits(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("systemd-analyze", "--version").Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("systemd-analyze is not installed")
	}
	version := versionOf.FindSubmatch(out)
	if err != nil || version == nil {
		t.Skipf("systemd-analyze --version: %v, %q", err, out)
	}
	n, _ := strconv.Atoi(string(version[1]))
	dir := t.TempDir()
	args := []string{"verify", "--man=no"}
	for _, name := range []string{"fugue.service", "fugue.socket"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(forThisMachine(t, name, n)), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out, err = exec.Command("systemd-analyze", args...).CombinedOutput()
	if complaint := regexp.MustCompile(`(?m)^.*fugue\..*$`).Find(out); err != nil || complaint != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// forThisMachine is a unit with what may be missing here replaced: the program,
// which verify looks for, and before 253 the type.
func forThisMachine(t *testing.T, name string, version int) string {
	t.Helper()
	text := strings.Replace(read(t, name), "ExecStart=/usr/local/bin/fugue-http", "ExecStart=/bin/sh", 1)
	if version < 253 {
		text = strings.Replace(text, "Type=notify-reload", "Type=notify", 1)
	}
	return text
}
