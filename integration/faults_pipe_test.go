package integration

import (
	"fmt"
	"syscall"
	"testing"
)

// A worker that stops beating is told to print its stacks, killed a second later
// and replaced, though nothing else happens in the server (F7).
func TestSilentWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\nheartbeat_timeout = \"600ms\"\n"+app())
	first := pids(s.waitWorkers(1))[1]
	s.get("/pid")
	eventually(t, "a beat has told of the request", func() bool { return s.status().Workers[0].Requests > 0 })
	kill(t, first, syscall.SIGSTOP)
	s.log.wait(t, fmt.Sprintf("msg=\"worker aborted\" worker=1 pid=%d why=\"silent for ", first), s.exited)
	s.log.wait(t, fmt.Sprintf("msg=\"worker killed\" worker=1 pid=%d cause=silent", first), s.exited)
	s.replaced(1, first)
}

// A foreign app that closes what it inherited, as daemons of old do, is an app
// without a heartbeat: it is left alone (F30).
func TestAppClosesItsPipe(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\nheartbeat_timeout = \"300ms\"\n"+
		foreign("for fd in 4 5 6 7 8 9; do eval \"exec $fd>&-\"; done; exec sleep 600", "1200ms"))
	// Ready after four times heartbeat_timeout: were its silence judged, it would
	// not have lived so long.
	if st := s.status(); st.Counters.Spawned != 1 || len(pids(st)) != 1 {
		t.Errorf("it was not left alone: %+v", st)
	}
}

// One that has beaten and then closes the pipe is silent: it is replaced, but no
// faster than heartbeat_timeout lets anyone be (F30).
func TestAppBeatsAndClosesItsPipe(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\nheartbeat_timeout = \"500ms\"\n"+
		foreign("echo '{\"type\":\"ready\"}{\"type\":\"beat\"}' | sed 's/}{/}\\n{/' >&4; exec 4>&- 5>&-; exec sleep 600", "pipe"))
	first := pids(s.waitWorkers(1))[1]
	s.log.wait(t, "msg=\"worker aborted\" worker=1", s.exited)
	second := s.replaced(1, first)
	s.log.waitN(t, "msg=\"worker aborted\" worker=1", 2, s.exited)
	s.replaced(1, second)
	if st := s.status(); st.Counters.Exits["silent"] != 2 || st.Counters.Exits["crash"] != 0 {
		t.Errorf("counted %+v", st.Counters)
	}
}

// A native app whose pipe is gone has lost its master, as far as it can know: it
// leaves in peace and is replaced once (F30).
func TestNativeAppClosesItsPipe(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\n"+app())
	workers := pids(s.waitWorkers(2))
	s.get("/close")
	eventually(t, "one has left and is replaced", func() bool {
		st := s.status()
		return st.Counters.Spawned == 3 && len(pids(st)) == 2
	})
	if st := s.status(); st.Counters.Spawned != 3 {
		t.Errorf("%d were started", st.Counters.Spawned)
	}
	same := 0
	for slot, pid := range pids(s.status()) {
		if workers[slot] == pid {
			same++
		}
	}
	if same != 1 {
		t.Errorf("%d of 2 workers were not touched", same)
	}
}

// The pipe is full because nobody reads it: the worker drops beats rather than
// wait, and a master that comes back kills nobody (F29, F31).
func TestMasterStopped(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\nheartbeat_timeout = \"600ms\"\n"+app())
	workers := pids(s.waitWorkers(2))
	s.signal(syscall.SIGSTOP)
	t.Cleanup(func() { s.signal(syscall.SIGCONT) })
	for range 8 { // whoever answers has a full pipe then
		s.get("/pipe?n=4000&text=%7B%22type%22%3A%22beat%22%7D%0A")
	}
	s.get("/slow?for=1500ms") // more than twice heartbeat_timeout
	s.signal(syscall.SIGCONT)
	st := s.waitWorkers(2)
	s.get("/pid")
	s.untouched(1, workers[1])
	s.untouched(2, workers[2])
	if st.Counters.Spawned != 2 {
		t.Errorf("counted %+v", st.Counters)
	}
}
