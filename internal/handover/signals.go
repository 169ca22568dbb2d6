package handover

import (
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// What becomes of a signal that arrives while one image takes the place of the other:
//
//   - USR1, USR2 and WINCH are blocked in the thread that executes the next image, and
//     wait until that catches them (signal(7): the mask and what is pending survive an
//     exec). What this image had caught and not obeyed is handed over by EnvSignals. One
//     that comes in the tenth of a millisecond between the last look at that and the
//     moment when the kernel ends the other threads, which still take it, is lost.
//   - HUP, TTIN and TTOU cannot wait so: the Go runtime unblocks them before it has a
//     handler. They are ignored. What HUP asks for happens all the same, since the next
//     image reads the file; a TTIN of these milliseconds is lost.
//   - TERM, QUIT and INT cannot wait either, and are not ignored: by default they end
//     the process, so that the workers finish their requests and leave. Process 1 has no
//     defaults; there one that arrives in these milliseconds is lost.
var (
	stops   = []os.Signal{syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT}
	held    = []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, unix.SIGWINCH}
	heeded  = []os.Signal{syscall.SIGHUP, unix.SIGTTIN, unix.SIGTTOU} // but while they are ignored
	ignored = append([]os.Signal{syscall.SIGPIPE, syscall.SIGALRM}, heeded...)
)

// EnvSignals has the numbers of signals that were caught and not obeyed, with commas.
const EnvSignals = "FUGUE_HANDOVER_SIGNALS"

// caught are the channels of a new image, from its first moment on: what comes before
// main has got to its master must neither end it nor be lost.
var caught struct{ stops, others chan os.Signal }

// Signals returns the channels that this image has caught signals with since it was
// executed: TERM, QUIT and INT on the first, those that ask for something on the other.
// They are nil in a program that was started in the ordinary way.
func Signals() (stops, others chan os.Signal) { return caught.stops, caught.others }

// catchEarly begins to catch, and takes over what the image before has left.
func catchEarly() {
	caught.stops, caught.others = make(chan os.Signal, 4), make(chan os.Signal, 64)
	signal.Notify(caught.stops, stops...)
	signal.Notify(caught.others, slices.Concat(held, heeded)...)
	for _, s := range parseSignals(os.Getenv(EnvSignals)) {
		to := caught.others
		if slices.Contains(stops, os.Signal(s)) {
			to = caught.stops
		}
		select {
		case to <- s:
		default: // so many are as good as one
		}
	}
	_ = os.Unsetenv(EnvSignals)
}

// release gives the signals back to a program that is no new image after all.
func release() {
	signal.Stop(caught.stops)
	signal.Stop(caught.others)
	caught.stops, caught.others = nil, nil
}

// Settle waits until the runtime has handed on what it has caught (signal.Stop does).
func Settle() { signal.Stop(make(chan os.Signal, 1)) }

// waiting takes what was caught and not obeyed.
func waiting(channels ...chan os.Signal) (all []os.Signal) {
	for _, c := range channels {
		for more := true; more; {
			select {
			case s := <-c: // never, if c is nil
				all = append(all, s)
			default:
				more = false
			}
		}
	}
	return all
}

func formatSignals(list []os.Signal) string {
	var words []string
	for _, s := range list {
		if n, ok := s.(syscall.Signal); ok {
			words = append(words, strconv.Itoa(int(n)))
		}
	}
	return strings.Join(words, ",")
}

// parseSignals leaves out what is no signal that means something here.
func parseSignals(text string) (list []syscall.Signal) {
	known := slices.Concat(stops, held, heeded)
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if s := syscall.Signal(n); err == nil && slices.Contains(known, os.Signal(s)) {
			list = append(list, s)
		}
	}
	return list
}
