package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// plain is an [app] table for the plain server behind the proxy. env are TOML pairs
// such as ON = "port".
func plain(env ...string) string {
	return fmt.Sprintf("[app]\ncommand = [%q]\nproxy = true\nenv = { %s }\n", programs.plain, strings.Join(append(env, `A = "1"`), ", "))
}

// appOf is the process behind a worker, 0 if there is none.
func appOf(worker int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", worker, worker))
	for _, word := range append(strings.Fields(string(text)), childrenOf(worker)...) {
		if pid, err := strconv.Atoi(word); err == nil && alive(pid) {
			return pid
		}
	}
	return 0
}

// childrenOf are those that other threads than the first have started.
func childrenOf(pid int) (found []string) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		found = append(found, strings.Fields(string(text))...)
	}
	return found
}

// folders are the private ones that proxies have made beside the settings.
func (s *server) folders() []string {
	found, _ := filepath.Glob(filepath.Join(s.dir, "fugue-app-*"))
	return found
}

func TestProxyForwards(t *testing.T) {
	t.Parallel()
	for _, on := range []string{"socket", "port"} {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			s := start(t, "workers = 1\n"+plain(fmt.Sprintf("ON = %q", on)))
			worker := pids(s.status())[1]
			if got := s.get("/pid"); got != strconv.Itoa(appOf(worker)) {
				t.Errorf("process %s answers, and the worker's app is %d", got, appOf(worker))
			}
			s.headersArrive()
			s.bodiesArrive()
			s.upgrades()
			s.signal(syscall.SIGTERM)
			if code := s.wait(); code != 0 || len(s.folders()) > 0 {
				t.Errorf("exit %d, left %v", code, s.folders())
			}
		})
	}
}

func (s *server) headersArrive() {
	s.t.Helper()
	got := talkOver(s.dial(), "GET /headers?a=1;b HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: 10.0.0.1\r\nConnection: close\r\n\r\n")
	for _, want := range []string{"Host: example.org\n", "URI: /headers?a=1;b\n", "X-Forwarded-For: 10.0.0.1, 127.0.0.1\r\n", "X-Forwarded-Host: example.org\r\n"} {
		if !strings.Contains(got.bytes, want) {
			s.t.Errorf("the app does not get %q: %s", want, got)
		}
	}
}

// bodiesArrive sends and fetches what fits into no buffer.
func (s *server) bodiesArrive() {
	s.t.Helper()
	large := placesTo(8 << 20)
	resp, err := http.Post("http://"+s.address+"/sum", "", bytes.NewReader(large))
	if err != nil {
		s.t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if want := fmt.Sprintf("%d %08x", len(large), crc32.ChecksumIEEE(large)); string(text) != want {
		s.t.Errorf("sent: %q, want %q", text, want)
	}
	if got := s.get(fmt.Sprintf("/pattern?bytes=%d", len(large))); got != string(large) {
		s.t.Errorf("fetched %d bytes, or others than were sent", len(got))
	}
}

func (s *server) upgrades() {
	s.t.Helper()
	c := s.dial()
	fmt.Fprint(c, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("%v, %v", resp, err)
	}
	for range 3 {
		fmt.Fprintln(c, "hello")
		if line, err := in.ReadString('\n'); line != "HELLO\n" {
			s.t.Errorf("%q, %v", line, err)
		}
	}
	c.Close()
}

// A stream of events outlives the timeout of requests, each one arriving at once.
func TestProxyEvents(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"300ms\"\n"+plain())
	workers := pids(s.status())
	resp, err := http.Get("http://" + s.address + "/events?every=50ms")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for i := range 12 { // twice the timeout
		line, err := in.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
			t.Fatalf("%q, %v, want %q", line, err, want)
		}
		_, _ = in.ReadString('\n')
	}
	s.peaceful(workers)
}

// `reload --wait` and `upgrade --wait` under load cost nobody an answer; what the file says anew reaches
// the app.
func TestProxyReloadUnderLoad(t *testing.T) {
	t.Parallel()
	for _, on := range []string{"socket", "port"} {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			s := start(t, "workers = 2\n"+plain(fmt.Sprintf("ON = %q", on), `VERSION = "v1"`))
			file := filepath.Join(s.dir, "unicorn.toml")
			tr := s.load(8)
			tr.more(50)
			for i := range full(20, 2) {
				old, fresh := fmt.Sprintf("v%d", i+1), fmt.Sprintf("v%d", i+2)
				put(t, file, strings.Replace(readAll(t, file), old, fresh, 1))
				timed(t, "a reload", func() { s.verb(0, "reload", "--wait") })
				tr.more(50)
				s.settled(2)
				s.answersWith(fresh)
			}
			timed(t, "an upgrade", func() { s.verb(0, "upgrade", "--wait") })
			tr.more(50)
			s.settled(2)
			got := tr.endWhole()
			if got.versions["v1"] == 0 || got.versions["v2"] == 0 {
				t.Errorf("answers came from %v", got.versions)
			}
			if left := s.folders(); len(left) != 2 {
				t.Errorf("two workers have left %v", left)
			}
		})
	}
}

// A stop lets the app finish what it has begun, and asks it to leave only then.
func TestProxyStopLosesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\n"+plain())
	apps := []int{appOf(pids(s.status())[1]), appOf(pids(s.status())[2])}
	slow := s.later("GET", "/slow?for=2s")
	s.inFlight(1)
	s.signal(syscall.SIGTERM)
	if got := <-slow; got.status() != "200" {
		t.Errorf("a request in flight got %s", got)
	}
	if code := s.wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if n := s.log.count("plainapp says goodbye"); n != 2 {
		t.Errorf("%d apps were asked to leave", n)
	}
	for _, pid := range apps {
		if pid == 0 || alive(pid) {
			t.Errorf("app %d is still there", pid)
		}
	}
}

// The worker is ready when its app answers the probe, and the lines of both go
// where log_file says, after a rotation as well.
func TestProxyProbeAndLogs(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\nlog_file = \"app.log\"\n"+plain()+"ready = \"http:///up\"\n")
	file := filepath.Join(s.dir, "app.log")
	eventually(t, "the app has written its first lines", func() bool {
		return strings.Count(readAll(t, file), "plainapp is not up yet") == 2
	})
	s.rotate(file, 1, 1)
	s.get("/log?line=afterwards")
	eventually(t, "the line after the rotation is in the new file", func() bool {
		return strings.Contains(readAll(t, file), "afterwards\n")
	})
}

// What is wrong with the app at the start is said.
func TestProxyOfABrokenApp(t *testing.T) {
	t.Parallel()
	s := launch(t, "workers = 1\n"+plain(`BOOT = "crash"`))
	s.noCrash()
	if code := s.wait(); code != 1 || s.log.count("boom: no database") == 0 || s.log.count("fugue-http: the app has ended: exit status 3") == 0 {
		t.Errorf("exit %d", code)
	}
}

// A reload to an app that does not start changes nothing, and says why.
func TestProxyReloadOfABrokenApp(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\nboot_timeout = \"9s\"\n"+plain())
	s.noCrash()
	before := s.status()
	file := filepath.Join(s.dir, "unicorn.toml")
	good := readAll(t, file)
	for _, c := range []struct{ app, boot, why string }{
		{`BOOT = "crash"`, "60s", "the app has ended: exit status 3 before it was ready"},
		{`BOOT = "hang"`, "1s", "not ready 1s after its start"},
	} {
		put(t, file, strings.NewReplacer(`A = "1"`, c.app, `"9s"`, strconv.Quote(c.boot)).Replace(good))
		if out := s.verb(1, "reload", "--wait"); !strings.Contains(out, c.why) {
			t.Errorf("%s: reload --wait says %q", c.app, out)
		}
		s.unchanged(before)
		s.get("/pid")
	}
}
