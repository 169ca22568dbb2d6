package integration

import (
	"fmt"
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

// quietFiles is how many descriptors the master has when no control connection
// is being closed.
func (s *server) quietFiles() int {
	s.t.Helper()
	n := -1
	eventually(s.t, "the number of descriptors settles", func() bool {
		was := n
		n = len(s.files())
		return n == was
	})
	return n
}
