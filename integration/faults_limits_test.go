package integration

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// The master may open nothing any more, found out at each of the steps of a
// spawn: the error is named, the old workers serve on, and all is well a moment
// after there is room again. Nothing half-made is left (F21; F20 but for its cause).
func TestMasterOutOfDescriptors(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\n"+app())
	s.unclean = true
	first := pids(s.waitWorkers(1))
	before := s.quietFiles()
	var restore func()
	for left, step := range []string{"heartbeat pipe", "heartbeat pipe", "command socket", "command socket",
		"notify socket", "open /dev/null", "start a process", "start a process"} {
		if restore != nil {
			restore()
		}
		restore = s.limitFiles(left)
		s.signal(syscall.SIGTTIN) // a control request would need a descriptor, too
		s.log.wait(t, fmt.Sprintf("level=ERROR msg=\"worker not started\" worker=%d err=\"%s: too many open files\"", left+2, step), s.exited)
	}
	s.get("/pid") // by the one that is there
	restore()
	s.waitWorkers(9)
	s.untouched(1, first[1])
	s.post("/scale", `{"workers":1}`)
	s.waitWorkers(1)
	eventually(t, fmt.Sprintf("the master has its %d descriptors again", before), func() bool { return s.quietFiles() == before })
}

// quietFiles is how many descriptors the master has when it has closed its ends of
// all control connections. They bear the name of the socket that accepted them.
func (s *server) quietFiles() int {
	s.t.Helper()
	n := -1
	eventually(s.t, "the number of descriptors settles", func() bool {
		if connections(s.t, s.controlPath()) > 0 {
			return false
		}
		was := n
		n = len(s.files())
		return n == was && connections(s.t, s.controlPath()) == 0
	})
	return n
}

// connections counts those that a Unix socket has accepted.
func connections(t testing.TB, path string) (n int) {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // Num RefCount Protocol Flags Type St Inode Path
		if len(f) == 8 && f[7] == path && f[3] == "00000000" {
			n++ // the one that listens has the flag 00010000
		}
	}
	return n
}

// sameFiles waits until the master has as many descriptors as before, and says
// what each leads to if it has not.
func (s *server) sameFiles(n int, before []string) {
	s.t.Helper()
	defer func() {
		if s.t.Failed() {
			s.t.Logf("before %s\nnow    %s", strings.Join(before, ", "), strings.Join(s.filesAre(), ", "))
		}
	}()
	eventually(s.t, fmt.Sprintf("the master has its %d descriptors again", n), func() bool { return s.quietFiles() == n })
}

// filesAre names what each of the master's descriptors leads to.
func (s *server) filesAre() (all []string) {
	for _, fd := range s.files() {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", s.pid, fd))
		all = append(all, fmt.Sprintf("%d %s", fd, to))
	}
	return all
}

// A control connection that is open is seen, or quietFiles would not wait for its end.
func TestConnectionsAreSeen(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 1\n"+app())
	s.waitWorkers(1)
	c, err := net.Dial("unix", s.controlPath())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "one connection is seen", func() bool { return connections(t, s.controlPath()) == 1 })
	c.Close()
	eventually(t, "no connection is seen", func() bool { return connections(t, s.controlPath()) == 0 })
}
