package proxy

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
)

// masterPipe is the heartbeat pipe, -1 without a master. It belongs to package
// worker, which has no word for why a worker ends. A line as short as that goes
// into a pipe whole (pipe(7)), so it cannot come between two halves of another.
func masterPipe() int {
	fd, err := strconv.Atoi(os.Getenv(wire.EnvPipeFD))
	if err != nil || fd < wire.FirstListener || os.Getenv(wire.EnvListenPID) != strconv.Itoa(os.Getpid()) {
		return -1
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return -1
	}
	return fd
}

// maxReason keeps a reason below PIPE_BUF, with its quotes escaped.
const maxReason = 500

// tellMaster says why this worker is about to end, for the log and for `reload
// --wait`; else the master would only see its exit status.
func tellMaster(pipe int, err error) {
	if pipe < 0 {
		return
	}
	reason := err.Error()
	line := wire.Message{Type: wire.Failed, Reason: reason[:min(len(reason), maxReason)]}.Append(nil)
	_, _ = unix.Write(pipe, line) // full, or nobody reads: it is on stderr as well
}
