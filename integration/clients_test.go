package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// languages are those that examples has a client of the pipe for.
var languages = []struct{ name, interpreter, client, app string }{
	{"node", "node", "../examples/node/fugue.js", "foreignapp/app.js"},
	{"python", "python3", "../examples/python/fugue.py", "foreignapp/app.py"},
}

// eachLanguage runs a test against the test app of each, where it is installed.
func eachLanguage(t *testing.T, test func(t *testing.T, app string)) {
	t.Parallel()
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			test(t, clientApp(t, l.interpreter, l.app))
		})
	}
}

// clientApp is the [app] table of a program in another language.
func clientApp(t testing.TB, interpreter, script string) string {
	t.Helper()
	needProgram(t, interpreter)
	path, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("[app]\ncommand = [%q, %q]\nready = \"pipe\"\n", interpreter, path)
}

// The clients are meant to be copied, and read before that.
func TestClientsAreSmall(t *testing.T) {
	t.Parallel()
	for _, l := range languages {
		if n := strings.Count(readAll(t, l.client), "\n"); n > 80 {
			t.Errorf("%s has %d lines", l.client, n)
		}
	}
}

// A worker says when it is ready, and in its beats what it does.
func TestClientBeats(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 2\ntimeout = \"20s\"\n"+app)
		workers := pids(s.status())
		s.log.waitN(t, "started ", 2, s.exited)
		slow := s.later("GET", "/slow?3000")
		s.inFlight(1)
		eventually(t, "a beat tells how old the request is", func() bool {
			for _, w := range s.status().Workers {
				if w.OldestMS > 500 {
					return true
				}
			}
			return false
		})
		if got := <-slow; got.status() != "200" || !strings.HasSuffix(got.bytes, "slow") {
			t.Errorf("the slow request: %s", got)
		}
		s.inFlight(0)
		eventually(t, "it is counted", func() bool { return s.status().Workers[0].Requests+s.status().Workers[1].Requests > 0 })
		s.peaceful(workers)
	})
}

// Without a master the same file serves alone, and leaves in order.
func TestClientAlone(t *testing.T) {
	t.Parallel()
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			needProgram(t, l.interpreter)
			s := &server{t: t, address: "127.0.0.1:" + freePort(t), log: newLineLog(), exited: make(chan struct{})}
			_, port, _ := net.SplitHostPort(s.address)
			cmd := withEnv(l.interpreter, []string{l.app}, "ALONE="+port)
			cmd.Stdout, cmd.Stderr = s.log, s.log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			go func() { s.err = cmd.Wait(); close(s.exited) }()
			t.Cleanup(func() { _ = cmd.Process.Kill(); <-s.exited })
			s.log.wait(t, "started 0", s.exited)
			if got := s.get("/"); got != "hello" {
				t.Errorf("it says %q", got)
			}
			kill(t, cmd.Process.Pid, syscall.SIGTERM)
			if code := s.wait(); code != 0 {
				t.Errorf("exit status %d; it says:\n%s", code, s.log)
			}
		})
	}
}

// A request that is not answered gets its 504, its neighbour in the same process is
// not disturbed, the worker is replaced with the successor ready first, and the
// other worker is not touched.
func TestClientStuckRequest(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 2\nmax_surge = 2\ntimeout = \"1s\"\n[watch]\ngrace = \"1s\"\n[[watch.route]]\npath = \"/slow\"\ntimeout = \"0s\"\n"+app)
		workers := pids(s.status())
		got := s.talk("GET", "/stuck")
		if got.status() != "504" || got.took < time.Second || got.took > 10*time.Second || !strings.HasSuffix(got.bytes, "\r\n\r\n504 Gateway Timeout") {
			t.Errorf("the client got %s", got)
		}
		in := s.incident("/stuck", "killed")
		if in.Kind != "timeout" || in.Status != 504 || in.Method != "GET" || !strings.HasPrefix(in.Remote, "127.0.0.1:") || in.PID != workers[in.Worker] {
			t.Errorf("%+v", in)
		}
		if strings.Contains(app, ".py") != strings.Contains(in.Stack, "at_stuck") {
			t.Errorf("the stack is %q", in.Stack)
		}
		s.replaced(in.Worker, workers[in.Worker])
		s.untouched(3-in.Worker, workers[3-in.Worker])
		s.log.inOrder(t, "request overdue", "worker is to be replaced", "worker ready", "worker gone")
		if exits := s.status().Counters.Exits; exits["timeout"] != 1 || exits["crash"] > 0 {
			t.Errorf("counted %v", exits)
		}
	})
}

// A worker that is replaced for one request finishes its others first.
func TestClientStuckRequestAndNeighbours(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 1\ntimeout = \"2s\"\n[watch]\ngrace = \"100ms\"\n"+app)
		old := pids(s.status())[1]
		stuck := s.later("GET", "/stuck")
		eventually(t, "it is about to be overdue", func() bool { return s.status().Workers[0].OldestMS > 900 })
		neighbour := s.later("GET", "/slow?1800")
		if got := <-stuck; got.status() != "504" {
			t.Errorf("the stuck one: %s", got)
		}
		s.log.wait(t, "worker is to be replaced", s.exited)
		if got := <-neighbour; got.status() != "200" {
			t.Errorf("its neighbour: %s", got)
		}
		s.incident("/stuck", "killed")
		s.replaced(1, old)
	})
}

// What has begun to answer is cut, and reported with no status.
func TestClientStuckResponse(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 1\ntimeout = \"1s\"\n[watch]\ngrace = \"60s\"\n"+app)
		got := s.talk("GET", "/begun")
		if got.status() != "200" || strings.Contains(got.bytes, "504") || strings.HasSuffix(got.bytes, "0\r\n\r\n") {
			t.Errorf("the client got %s", got)
		}
		if in := s.incident("/begun", "open"); in.Status != 0 {
			t.Errorf("%+v", in)
		}
		s.get("/pid")
	})
}

// With status = 0 the connection is cut, as Unicorn does.
func TestClientStuckWithoutAnswer(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 1\ntimeout = \"1s\"\n[watch]\nstatus = 0\ngrace = \"60s\"\n"+app)
		if got := s.talk("GET", "/stuck"); got.bytes != "" {
			t.Errorf("the client got %s", got)
		}
		if in := s.incident("/stuck", "open"); in.Status != 0 {
			t.Errorf("%+v", in)
		}
	})
}

// A handler that answers after all has recovered, and its worker stays, whatever
// it still does with the response.
func TestClientRecovers(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 1\ntimeout = \"500ms\"\n[watch]\ngrace = \"60s\"\n"+app)
		workers := pids(s.status())
		c := s.dial() // one that stays open after the answer
		fmt.Fprint(c, "GET /late?2000 HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := s.talk("GET", "/late?1500"); got.status() != "504" || strings.Count(got.bytes, "HTTP/1.1") != 1 {
			t.Errorf("the client got %s", got)
		}
		eventually(t, "both have recovered", func() bool {
			list := s.incidents()
			return len(list) == 2 && list[0].Outcome == "recovered" && list[1].Outcome == "recovered"
		})
		s.stuckIn(0)
		if got := talkOver(c, ""); got.status() != "504" || strings.Contains(got.bytes, "late") {
			t.Errorf("the client that waited on got %s", got)
		}
		s.get("/pid")
		s.noneReplaced(workers)
	})
}

// The clock stands still while a request waits for its client, and a stream has no
// limit.
func TestClientSlowClient(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 1\ntimeout = \"500ms\"\n"+app)
		workers := pids(s.status())
		c := s.dial()
		fmt.Fprint(c, "POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 40\r\n\r\n")
		for range 8 { // three times the timeout
			s.get("/slow?200")
			fmt.Fprint(c, "12345")
		}
		if got := talkOver(c, ""); !strings.HasSuffix(got.bytes, "\r\n\r\n40") {
			t.Errorf("the slow client got %s", got)
		}
		if got := s.talk("GET", "/events"); got.status() != "200" || !strings.Contains(got.bytes, "data: 4") {
			t.Errorf("the stream: %s", got)
		}
		s.peaceful(workers)
	})
}

// A process in which nothing runs any more cannot answer; it is found by its
// silence and replaced, and the other worker is not touched.
func TestClientBusyProcess(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 2\nheartbeat_timeout = \"1s\"\n"+app)
		s.unclean = true // Python prints "Fatal Python error: Aborted" with the stacks
		workers := pids(s.status())
		s.beaten(workers)
		got := s.talk("GET", "/busy")
		if got.status() != "" {
			t.Errorf("the client got %s", got)
		}
		in := s.incident("", "killed")
		if in.Kind != "silent" || in.PID != workers[in.Worker] {
			t.Errorf("%+v", in)
		}
		s.replaced(in.Worker, workers[in.Worker])
		s.untouched(3-in.Worker, workers[3-in.Worker])
		if strings.Contains(app, ".py") {
			s.log.inOrder(t, "Fatal Python error: Aborted", "in at_busy")
		}
	})
}

// HUP and USR2 under load lose nothing, whether clients keep their connections or
// not.
func TestClientReloadUnderLoad(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 2\n"+twoListeners+app+"env = { VERSION = \"v1\" }\n")
		file := filepath.Join(s.dir, "unicorn.toml")
		tr := crowd(t, s.both()...)
		tr.path, tr.pause = "/", 5*time.Millisecond
		tr.start(16)
		tr.more(200)
		reloads := full(20, 3)
		for i := range reloads {
			put(t, file, strings.Replace(readAll(t, file), fmt.Sprintf("v%d", i+1), fmt.Sprintf("v%d", i+2), 1))
			timed(t, "a reload", func() { s.ok("reload", s.hup) })
			tr.more(200)
		}
		timed(t, "an upgrade", func() { s.ok("upgrade", s.usr2) })
		tr.more(200)
		s.settled(2)
		got := tr.endWhole()
		if got.versions["v1"] == 0 || got.versions[fmt.Sprintf("v%d", reloads+1)] == 0 {
			t.Errorf("answers came from %v", got.versions)
		}
		s.onlyReloaded()
	})
}

// A drain answers what is in flight, says Connection: close, and gives connections
// at rest the time to send one more request.
func TestClientDrain(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 1\n"+app)
		kept, c := bufio.NewReader(nil), s.dial()
		kept.Reset(c)
		ask := func(path string) *http.Response {
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			resp, err := http.ReadResponse(kept, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp
		}
		if resp := ask("/"); resp.Close {
			t.Error("the connection is not kept")
		}
		never := s.dial() // says nothing, as a browser that connects ahead
		slow := s.later("GET", "/slow?2500")
		s.inFlight(1)
		began := time.Now()
		s.signal(syscall.SIGTERM)
		if got := <-slow; got.status() != "200" {
			t.Errorf("what was in flight: %s", got)
		}
		if resp := ask("/"); resp.StatusCode != 200 || !resp.Close {
			t.Errorf("a kept connection at the drain: %v", resp)
		}
		if code := s.wait(); code != 0 {
			t.Errorf("exit status %d", code)
		}
		if rest, err := io.ReadAll(never); err != nil || len(rest) > 0 {
			t.Errorf("the one that said nothing: %q, %v", rest, err)
		}
		if took := time.Since(began); took < 2*time.Second || took > 9*time.Second { // linger, and less than worker_kill_timeout
			t.Errorf("it took %s", took)
		}
	})
}

// On a full stop those who wait in the queue are served first.
func TestClientStopServesTheQueue(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 1\n"+app)
		answers := []<-chan exchange{s.later("GET", "/block?1500")}
		eventually(t, "nobody accepts", func() bool { // the ones before may have been accepted
			answers = append(answers, s.later("GET", "/"))
			return s.status().Listeners[0].Queue >= 5
		})
		s.signal(syscall.SIGTERM)
		for i, c := range answers {
			if got := <-c; got.status() != "200" {
				t.Errorf("request %d of %d: %s", i, len(answers), got)
			}
		}
		if code := s.wait(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	})
}

// A worker whose master is killed finishes its requests and leaves.
func TestClientMasterKilled(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 2\n"+app)
		s.unclean = true
		workers := pids(s.status())
		slow := s.later("GET", "/slow?2500")
		s.inFlight(1)
		kill(t, s.pid, syscall.SIGKILL)
		<-s.exited
		if got := <-slow; got.status() != "200" {
			t.Errorf("what was in flight: %s", got)
		}
		for _, pid := range workers {
			eventually(t, fmt.Sprintf("worker %d has left", pid), func() bool { return !alive(pid) })
		}
	})
}

// A worker that is told by a signal of its own drains, and is replaced.
func TestClientToldByItsOwnSignal(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 1\n"+app)
		old := pids(s.status())[1]
		slow := s.later("GET", "/slow?2500")
		s.inFlight(1)
		kill(t, old, syscall.SIGTERM)
		if got := <-slow; got.status() != "200" {
			t.Errorf("what was in flight: %s", got)
		}
		s.replaced(1, old)
		eventually(t, "it is counted as told", func() bool { return s.status().Counters.Exits["stop"] == 1 })
	})
}

// A raw TCP server of Node.js drains as well: its connections may take their time.
func TestClientNodeTCP(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	script := filepath.Join(dir, "echo.js")
	client, _ := filepath.Abs("../examples/node/fugue.js")
	put(t, script, fmt.Sprintf("require(%q).start(require('net').createServer((c) => c.pipe(c)))\n", client))
	s := start(t, "workers = 1\n"+clientApp(t, "node", script))
	c := s.dial()
	echo := func() {
		t.Helper()
		got := make([]byte, 5)
		fmt.Fprint(c, "hello")
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, []byte("hello")) {
			t.Errorf("%q, %v", got, err)
		}
	}
	echo()
	s.ok("reload", s.hup)
	eventually(t, "it lingers no longer", func() bool { echo(); return s.log.count("worker ready") == 2 })
	c.Close()
	s.settled(1)
	s.onlyReloaded()
}

// A second signal means at once, if the master lives.
func TestClientStoppedQuickly(t *testing.T) {
	eachLanguage(t, func(t *testing.T, app string) {
		s := start(t, "workers = 1\n"+app)
		slow := s.later("GET", "/slow?20000")
		s.inFlight(1)
		s.signal(syscall.SIGTERM)
		eventually(t, "it drains", func() bool {
			st, err := s.tryStatus()
			// Two signals of a kind are one until the first is delivered (signal(7)).
			return err == nil && st.Workers[0].State == "draining" && !pending(t, st.Workers[0].PID, syscall.SIGTERM)
		})
		s.signal(syscall.SIGTERM)
		if code := s.wait(); code != 0 {
			t.Errorf("exit status %d", code)
		}
		if got := <-slow; got.status() != "" || got.took > 10*time.Second {
			t.Errorf("what was in flight: %s", got)
		}
		if n := s.log.count("worker killed"); n > 0 {
			t.Error("it had to be killed")
		}
	})
}

// pending says whether a process has a signal that was not delivered yet.
func pending(t testing.TB, pid int, sig syscall.Signal) bool {
	t.Helper()
	set, err := strconv.ParseUint(statusField(t, pid, "ShdPnd"), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return set>>(sig-1)&1 == 1
}

// The examples run as docs/apps.md has a reader run them.
func TestClientExamples(t *testing.T) {
	t.Parallel()
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			needProgram(t, l.interpreter)
			from := filepath.Dir(l.client)
			dir := folder(t)
			for _, name := range []string{filepath.Base(l.client), "app" + filepath.Ext(l.client)} {
				cp(t, filepath.Join(from, name), filepath.Join(dir, name))
			}
			text := readAll(t, filepath.Join(from, "unicorn.toml"))
			put(t, filepath.Join(dir, "unicorn.toml"), strings.Replace(text, "listen = \"127.0.0.1:8080\"\n", config, 1))
			s := again(t, dir)
			s.unclean = true // Python prints "Fatal Python error: Aborted"
			s.waitReady()
			if got := s.get("/"); !strings.HasPrefix(got, "Hello from worker ") {
				t.Errorf("it says %q", got)
			}
			if got := s.talk("GET", "/stuck"); got.status() != "504" {
				t.Errorf("the stuck request: %s", got)
			}
			if list := s.verb(0, "incidents"); !strings.Contains(list, "GET /stuck") {
				t.Errorf("incidents: %s", list)
			}
			if got := s.talk("GET", "/busy"); got.bytes != "" {
				t.Errorf("the busy process: %s", got)
			}
			eventually(t, "it is replaced", func() bool { return s.status().Counters.Exits["silent"] == 1 })
			s.waitWorkers(2)
			s.reload()
			s.verb(0, "stop")
			s.ends(0)
		})
	}
}
