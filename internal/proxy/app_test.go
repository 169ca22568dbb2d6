package proxy

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/wire"
)

const patience = 20 * time.Second

// eventually waits for a condition that nothing announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func newTestPlace(t *testing.T) *place {
	t.Helper()
	p, err := newPlace(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.remove)
	return p
}

// play starts a helper as the app of p.
func play(t *testing.T, p *place, helper string, env ...string) *app {
	t.Helper()
	a, err := startApp([]string{os.Args[0]}, p.environ(playing(helper, env...)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.stop(syscall.SIGKILL, 0) })
	return a
}

func TestAppIsFoundWhereItListens(t *testing.T) {
	t.Parallel()
	for helper, want := range map[string]func(*place) string{
		"port":   func(p *place) string { return "127.0.0.1:" + strconv.Itoa(p.port) },
		"ipv6":   func(p *place) string { return "[::1]:" + strconv.Itoa(p.port) },
		"socket": func(p *place) string { return p.folder.socket() },
	} {
		t.Run(helper, func(t *testing.T) {
			t.Parallel()
			if helper == "ipv6" && !hasIPv6() {
				t.Skip("no IPv6 loopback here")
			}
			p := newTestPlace(t)
			u, err := awaitReady(rule{}, p, play(t, p, helper), nil)
			if err != nil || u.addr != want(p) {
				t.Errorf("found at %q (%v), want %q", u.addr, err, want(p))
			}
		})
	}
}

func hasIPv6() bool {
	text, err := os.ReadFile("/proc/net/if_inet6")
	return err == nil && strings.Contains(string(text), " lo")
}

func TestReadyWaits(t *testing.T) {
	t.Parallel()
	t.Run("for the answer to a probe", func(t *testing.T) {
		t.Parallel()
		p := newTestPlace(t)
		u, err := awaitReady(rule{path: "/warm"}, p, play(t, p, "socket"), nil)
		if err != nil || probe(u, "/warm") != nil {
			t.Errorf("ready with %v", err)
		}
	})
	t.Run("for a life so long", func(t *testing.T) {
		t.Parallel()
		p := newTestPlace(t)
		const long = 700 * time.Millisecond
		a := play(t, p, "port")
		if _, err := awaitReady(rule{alive: long}, p, a, nil); err != nil || time.Since(a.since) < long {
			t.Errorf("ready after %s, %v", time.Since(a.since), err)
		}
	})
	t.Run("until the app has died", func(t *testing.T) {
		t.Parallel()
		p := newTestPlace(t)
		_, err := awaitReady(rule{}, p, play(t, p, "dies"), nil)
		if err == nil || err.Error() != "the app has ended: exit status 3" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("until the worker is told to leave", func(t *testing.T) {
		t.Parallel()
		p := newTestPlace(t)
		leaving := make(chan struct{})
		close(leaving)
		if _, err := awaitReady(rule{}, p, play(t, p, "nothing"), leaving); !errors.Is(err, errLeaving) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAppIsNotToldWhatBelongsToTheWorker(t *testing.T) {
	t.Parallel()
	p := newTestPlace(t)
	private := append(slices.Clone(wire.WorkerEnv), wire.EnvNotify, wire.EnvWatchdog, "FUGUE_LATER", envPort)
	env := []string{"KEPT=yes", "LISTEN_ADDR=mine"}
	for _, name := range private {
		env = append(env, name+"=1")
	}
	u, err := awaitReady(rule{}, p, play(t, p, "socket", env...), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(body(t, u, "/env"), "\n")
	for _, line := range got {
		name, value, _ := strings.Cut(line, "=")
		if value == "1" && slices.Contains(private, name) {
			t.Errorf("the app has %s", line)
		}
	}
	for _, want := range []string{"KEPT=yes", "LISTEN_ADDR=mine", "PORT=" + strconv.Itoa(p.port), "FUGUE_APP_SOCKET=" + p.folder.socket()} {
		if !slices.Contains(got, want) {
			t.Errorf("the app lacks %s", want)
		}
	}
}

func body(t *testing.T, u upstream, path string) string {
	t.Helper()
	resp, err := (&http.Client{Transport: oneShot(u)}).Get("http://app" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestStopKillsTheDeaf(t *testing.T) {
	t.Parallel()
	p := newTestPlace(t)
	a := play(t, p, "deaf")
	if _, err := awaitReady(rule{}, p, a, nil); err != nil {
		t.Fatal(err)
	}
	a.stop(syscall.SIGTERM, 20*time.Millisecond)
	if a.ending != "signal: killed" {
		t.Errorf("it ended by %s", a.ending)
	}
}

func TestStopAsksFirst(t *testing.T) {
	t.Parallel()
	p := newTestPlace(t)
	a := play(t, p, "port")
	if _, err := awaitReady(rule{}, p, a, nil); err != nil {
		t.Fatal(err)
	}
	a.stop(syscall.SIGTERM, 0)
	if a.ending != "signal: terminated" {
		t.Errorf("it ended by %s", a.ending)
	}
}

func TestAppDiesWithItsWorker(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child with its parent")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = playing("parent")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the app is gone", func() bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	_, err := startApp([]string{filepath.Join(t.TempDir(), "nowhere")}, nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestEndErrorHelpsWithDaemons(t *testing.T) {
	t.Parallel()
	a := &app{ending: "exit status 0"}
	if got := a.endError().Error(); !strings.Contains(got, "foreground") {
		t.Error(got)
	}
}
