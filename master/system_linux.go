package master

import (
	"math"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

func pipe(p *[2]int) error { return unix.Pipe2(p[:], unix.O_CLOEXEC) }

// socketpair returns our end, non-blocking, and the worker's, which is not: not
// every runtime expects a non-blocking socket.
func socketpair() (ours, theirs int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, err
	}
	// What a worker writes here nobody would read; it shall not fill buffers.
	if err := unix.Shutdown(p[0], unix.SHUT_RD); err != nil {
		_ = unix.Close(p[0])
		_ = unix.Close(p[1])
		return -1, -1, err
	}
	return p[0], p[1], nil
}

func dupOver(fd, target int) error {
	if fd == target {
		return nil
	}
	return unix.Dup3(fd, target, 0)
}

// writeFromBackground lets the calling goroutine write to a terminal that stops
// background jobs that do (stty tostop): a thread that blocks TTOU may, see
// termios(3). Otherwise each line would bring a TTOU, which is an order to the
// master, and another one when it is tried again.
func writeFromBackground() {
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	var set unix.Sigset_t
	set.Val[0] = 1 << (unix.SIGTTOU - 1)
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil) // fails for wrong arguments only
}

// openForExec returns a descriptor of path that can be executed and compared.
func openForExec(path string) (int, error) { return unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0) }

// scratchFile is a file without a name, gone with its last descriptor.
func scratchFile() (int, error) { return unix.MemfdCreate("fugue log", unix.MFD_CLOEXEC) }

// closeOnExec keeps descriptors that the launcher left open (`exec 9<secret` in
// a shell) out of the workers. Those that are meant for them are passed on by
// number later.
func closeOnExec() {
	if unix.CloseRange(firstFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) != nil {
		closeEachOnExec()
	}
}

const firstFD = 3

// closeEachOnExec is for kernels before 5.11, which do not know that flag.
func closeEachOnExec() {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // without /proc little else works either
	}
	for _, entry := range list {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd >= firstFD {
			unix.CloseOnExec(fd)
		}
	}
}
