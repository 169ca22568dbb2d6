package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// watchedPlain are limits short enough for a test. The grace leaves a machine that is
// busy its time.
const watchedPlain = "workers = 2\ntimeout = \"500ms\"\n[watch]\ngrace = \"300ms\"\n"

// victim says which worker has the app that has answered, and which is the other.
func (s *server) victim(app string) (slot, other int, workers map[int]int) {
	s.t.Helper()
	workers = pids(s.status())
	for slot, pid := range workers {
		if fmt.Sprint(appOf(pid)) == app {
			return slot, 3 - slot, workers
		}
	}
	s.t.Fatalf("app %s is none of the workers' %v", app, workers)
	return 0, 0, nil
}

// A plain server that never answers: the client gets a 504 in time, the incident is
// recorded, the pair is replaced with the successor ready first, and the other
// worker is not touched; also if the app does not leave when it is asked.
func TestProxyStuck(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]string{"leaves when asked": `B = "1"`, "does not": `DEAF = "1"`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "worker_kill_timeout = \"3s\"\n"+watchedPlain+plain(env))
			workers := pids(s.status())
			apps := map[int]int{1: appOf(workers[1]), 2: appOf(workers[2])}
			got := s.talk("GET", "/hang")
			if got.status() != "504" || got.took < 500*time.Millisecond {
				t.Errorf("the client got %s", got)
			}
			in := s.incident("/hang", "killed")
			if in.Kind != "timeout" || in.Status != 504 || in.PID != workers[in.Worker] {
				t.Errorf("%+v", in)
			}
			s.replaced(in.Worker, workers[in.Worker])
			s.untouched(3-in.Worker, workers[3-in.Worker])
			eventually(t, "the stuck app is gone", func() bool { return !alive(apps[in.Worker]) })
			if pid := apps[3-in.Worker]; appOf(workers[3-in.Worker]) != pid {
				t.Errorf("the other app is not %d any more", pid)
			}
			s.log.inOrder(t, "request overdue", "worker is to be replaced", "worker ready", "worker gone")
			if exits := s.status().Counters.Exits; exits["timeout"] != 1 || exits["crash"] > 0 {
				t.Errorf("counted %v", exits)
			}
		})
	}
}

// An app that is merely slow recovers, and keeps its worker.
func TestProxySlow(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\ntimeout = \"300ms\"\n[watch]\ngrace = \"20s\"\n"+plain())
	worker := pids(s.status())[1]
	if got := s.talk("GET", "/slow?for=600ms"); got.status() != "504" {
		t.Errorf("the client got %s", got)
	}
	s.incident("/slow", "recovered")
	s.untouched(1, worker)
}

// An app that refuses connections, though it lives, is reported like a request that
// is not answered, and replaced by the same ladder.
func TestProxyUnwell(t *testing.T) {
	t.Parallel()
	s := start(t, watchedPlain+plain())
	slot, other, workers := s.victim(s.get("/pid"))
	for hit := false; !hit; { // the kernel decides who gets it
		got := s.talk("GET", "/refuse")
		hit = got.status() == "200"
	}
	in := s.incident("health check of the app", "")
	if in.Worker != slot {
		slot, other = other, slot
	}
	if in.PID != workers[in.Worker] {
		t.Errorf("%+v", in)
	}
	s.replaced(slot, workers[slot])
	s.untouched(other, workers[other])
	s.get("/pid")
}

// An app that ends takes its worker with it: what it had gets 502, and the master
// says why.
func TestProxyAppDies(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\n"+plain())
	workers := pids(s.status())
	got := s.talk("POST", "/exit")
	if got.status() != "502" || !strings.HasSuffix(got.bytes, "\r\n\r\n502 Bad Gateway\n") {
		t.Errorf("the client got %s", got)
	}
	s.log.wait(t, `why="the app has ended: exit status 3"`, s.exited)
	slot := 1
	if alive(workers[1]) {
		slot = 2
	}
	s.replaced(slot, workers[slot])
	s.untouched(3-slot, workers[3-slot])
	s.get("/pid")
	if exits := s.status().Counters.Exits; exits["crash"] != 1 {
		t.Errorf("counted %v", exits)
	}
}

// Nobody of a pair outlives the other, whoever is killed.
func TestProxyPairEndsTogether(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\nworker_kill_timeout = \"2s\"\n"+plain(`DEAF = "1"`))
	s.unclean = true
	workers := pids(s.status())
	apps := []int{appOf(workers[1]), appOf(workers[2])}
	kill(t, workers[1], syscall.SIGKILL)
	eventually(t, "the app of a killed worker is gone", func() bool { return !alive(apps[0]) })
	s.replaced(1, workers[1])
	kill(t, apps[1], syscall.SIGKILL)
	eventually(t, "the worker of a killed app is gone", func() bool { return !alive(workers[2]) })
	s.replaced(2, workers[2])
	eventually(t, "the folders of the dead are gone", func() bool { return len(s.folders()) <= 3 })

	workers = pids(s.status())
	apps = []int{appOf(workers[1]), appOf(workers[2])}
	kill(t, s.pid, syscall.SIGKILL)
	<-s.exited
	for i, app := range apps {
		eventually(t, "app and worker are gone with the master", func() bool { return !alive(app) && !alive(workers[i+1]) })
	}
}

// A Node.js server whose loop is blocked cannot answer anybody; the proxy before it
// does, and replaces the pair.
func TestProxyBusyNode(t *testing.T) {
	t.Parallel()
	node := needProgram(t, "node")
	dir, _ := settings(t, watchedPlain+fmt.Sprintf("[app]\ncommand = [%q, \"app.js\"]\nproxy = true\n", node))
	put(t, filepath.Join(dir, "app.js"), `require('http').createServer((req, res) => {
  if (req.url === '/busy') for (;;);
  res.end('hello')
}).listen(process.env.PORT, '127.0.0.1')
`)
	s := again(t, dir)
	s.waitReady()
	workers := pids(s.waitWorkers(2))
	if got := s.talk("GET", "/busy"); got.status() != "504" {
		t.Errorf("the client got %s", got)
	}
	in := s.incident("/busy", "killed")
	s.replaced(in.Worker, workers[in.Worker])
	s.untouched(3-in.Worker, workers[3-in.Worker])
	if got := s.get("/"); got != "hello" {
		t.Errorf("it says %q", got)
	}
}
