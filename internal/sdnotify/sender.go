package sdnotify

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxPath is what fits into sun_path; a path also has its closing NUL there.
const maxPath = 107

// A Sender sends to the socket that NOTIFY_SOCKET names. All methods may be
// called on nil, and then do nothing.
type Sender struct {
	to       *unix.SockaddrUnix
	fd       int // -1 until there is something to send
	watchdog time.Duration
	waiting  []string // what the supervisor had no room for, oldest first
	dropped  int
}

// New returns what speaks to the supervisor of process pid, nil if there is
// none. An address that is neither a path nor an abstract name ("@name"), as
// the vsock of a virtual machine, counts as none.
func New(getenv func(string) string, pid int) *Sender {
	addr := getenv("NOTIFY_SOCKET")
	if len(addr) < 2 || len(addr) > maxPath || addr[0] != '/' && addr[0] != '@' {
		return nil
	}
	return &Sender{
		to:       &unix.SockaddrUnix{Name: addr}, // takes "@" for the NUL of an abstract name
		fd:       -1,
		watchdog: watchdog(getenv, pid),
	}
}

// watchdog is WATCHDOG_USEC, 0 if it is not there, is none, or is meant for
// another process. A program between the supervisor and us (a shell) would have
// left us variables that carry its own process id.
func watchdog(getenv func(string) string, pid int) time.Duration {
	if of := getenv("WATCHDOG_PID"); of != "" && of != strconv.Itoa(pid) {
		return 0
	}
	usec, err := strconv.ParseUint(getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec > math.MaxInt64/uint64(time.Microsecond) {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

// Ready says that the first generation is ready, or that a reload is over,
// whatever came of it. Status is for people (`systemctl status`); an empty one,
// here and below, leaves what was said last.
func (s *Sender) Ready(status string) { s.say("READY=1", statusLine(status)) }

// Reloading says that a reload has begun. The time, in the same datagram, tells
// the supervisor whether this is the answer to the HUP it has just sent or was
// on its way before.
func (s *Sender) Reloading(status string) {
	s.say("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(monotonic().Microseconds(), 10), statusLine(status))
}

// Status says what people are to see; "" takes it away.
func (s *Sender) Status(text string) { s.say("STATUS=" + harmless(text)) }

// Stopping says that the master is about to leave. The supervisor's limit for a
// stop begins here, if it did not ask for the stop itself.
func (s *Sender) Stopping(status string) { s.say("STOPPING=1", statusLine(status)) }

// Watchdog says that the master is alive. One that cannot be sent is not kept:
// late it would be a lie.
func (s *Sender) Watchdog() {
	if s == nil {
		return
	}
	s.Retry()
	if len(s.waiting) > 0 || s.send("WATCHDOG=1") != nil {
		s.dropped++
	}
}

// WatchdogEvery is how often Watchdog is to be called: twice in the time after
// which the supervisor would think us dead; 0 if it does not watch.
func (s *Sender) WatchdogEvery() time.Duration {
	if s == nil {
		return 0
	}
	return s.watchdog / 2
}

// Waiting reports whether there is something that the supervisor had no room
// for. Then Retry should be called a little later.
func (s *Sender) Waiting() bool { return s != nil && len(s.waiting) > 0 }

// Dropped is how many datagrams were given up.
func (s *Sender) Dropped() int {
	if s == nil {
		return 0
	}
	return s.dropped
}

// Retry sends what is waiting, as far as there is room. Every other call that
// sends does so first.
func (s *Sender) Retry() {
	for s.Waiting() {
		err := s.send(s.waiting[0])
		if noRoom(err) {
			return
		}
		if err != nil {
			s.dropped++
		}
		s.waiting = s.waiting[1:]
	}
}

// mostWaiting bounds what is kept for a supervisor that takes nothing. Three
// reloads fit, each with its end; of more the oldest are of no interest.
const mostWaiting = 6

// say sends one datagram of these lines, after those that are waiting. What the
// supervisor is told in one datagram it takes as one: in two, READY before its
// STATUS would show what was true before.
func (s *Sender) say(lines ...string) {
	if s == nil {
		return
	}
	if len(s.waiting) == mostWaiting {
		s.waiting = s.waiting[1:]
		s.dropped++
	}
	s.waiting = append(s.waiting, join(lines))
	s.Retry()
}

// noRoom tells a supervisor that is busy from one that is gone. EINTR is not
// documented for a call that does not wait, and would be no reason to give up.
func noRoom(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EINTR)
}

func join(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		if line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
