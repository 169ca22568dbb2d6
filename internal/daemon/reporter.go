package daemon

import (
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Reporter is the daemon's line to its launcher. All methods may be called on
// nil, which is the Reporter of a process that is no daemon, and from any
// goroutine. Of all words only the first counts.
type Reporter struct {
	say  *os.File
	once sync.Once
}

// NewReporter returns nil unless Launch started this process. It is called once,
// before descriptors and environment are used for anything else.
func NewReporter() *Reporter {
	fd, err := strconv.Atoi(os.Getenv(Env))
	_ = os.Unsetenv(Env)
	if err != nil || fd < firstInherited || !isPipe(fd) {
		return nil
	}
	unix.CloseOnExec(fd)
	// The sockets of systemd were meant for the launcher; now they are for us.
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getppid()) {
		_ = os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	keepName()
	return &Reporter{say: os.NewFile(uintptr(fd), "launcher")}
}

func isPipe(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO
}

// Settle leaves the folder of the launcher, which must not be kept busy. It is
// called when relative paths have been made absolute.
func (r *Reporter) Settle() error {
	if r == nil {
		return nil
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("daemonize: %w", err)
	}
	return nil
}

// Ok says that the first workers are ready.
func (r *Reporter) Ok() { r.tell(okWord) }

// Failed says why there will be none.
func (r *Reporter) Failed(reason string) { r.tell(sorryWord + reason) }

func (r *Reporter) tell(word string) {
	if r == nil {
		return
	}
	r.once.Do(func() {
		_, _ = r.say.WriteString(word) // a launcher that was killed misses nothing
		_ = r.say.Close()
	})
}
