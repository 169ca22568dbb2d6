package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/sockets"
)

// inheritance is what a process finds at its start. Tests write their own.
type inheritance struct {
	master         bool // there is one; without it the worker is alone
	id, generation int
	pipe, command  int   // descriptors, -1 if there is none
	listeners      []int // descriptors
	settings       wire.Settings
}

// defaults are the settings of a worker alone, or of a master that sent none.
var defaults = wire.Settings{
	BeatEvery:  time.Second,
	DrainLimit: 30 * time.Second,
	HTTP: wire.HTTP{
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
		Linger:            2 * time.Second,
		MaxHeaderBytes:    64 << 10,
	},
}

// inherit reads the environment. A process that merely inherited the variables
// of a worker (a child of an app that does not speak the protocol) has none of
// the descriptors, so it is alone. It changes nothing.
func inherit(getenv func(string) string, pid int) (inheritance, error) {
	in := inheritance{pipe: pipeFD(getenv, pid), command: -1, settings: defaults}
	in.master = in.pipe >= 0
	if !listenersAreFor(getenv, pid) {
		return in, strangersListeners(getenv, pid)
	}
	if err := in.countListeners(getenv(wire.EnvListenFDs)); err != nil {
		return in, err
	}
	if !in.master {
		return in, nil
	}
	return in, in.readMaster(getenv)
}

// listenersAreFor tells whether the environment was made for process pid. The
// protocol of systemd sets LISTEN_PID; a master that execs its workers itself
// may leave it out.
func listenersAreFor(getenv func(string) string, pid int) bool {
	meant := getenv(wire.EnvListenPID)
	return meant == "" || meant == strconv.Itoa(pid)
}

// strangersListeners is an error if a master is there after all: the app was
// started through a shell or wrapper that did not exec it, and would otherwise
// open a socket of its own.
func strangersListeners(getenv func(string) string, pid int) error {
	if openPipe(getenv(wire.EnvPipeFD)) < 0 {
		return nil
	}
	return fmt.Errorf("%s is %s, this process is %d: let the wrapper that starts the app exec it",
		wire.EnvListenPID, getenv(wire.EnvListenPID), pid)
}

// pipeFD returns the heartbeat pipe of process pid, or -1.
func pipeFD(getenv func(string) string, pid int) int {
	if !listenersAreFor(getenv, pid) {
		return -1
	}
	return openPipe(getenv(wire.EnvPipeFD))
}

// openPipe returns the descriptor that value names if it is the write end of a
// pipe, else -1.
func openPipe(value string) int {
	fd, err := strconv.Atoi(value)
	if err != nil || fd < wire.FirstListener {
		return -1
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return -1
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE == unix.O_RDONLY {
		return -1
	}
	return fd
}

func (in *inheritance) countListeners(value string) error {
	if value == "" {
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return fmt.Errorf("%s=%q is no number of descriptors", wire.EnvListenFDs, value)
	}
	for fd := wire.FirstListener; fd < wire.FirstListener+n; fd++ {
		// Asked of each one here, so that an absurd number ends at the first gap.
		if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
			return fmt.Errorf("%s=%s: descriptor %d is no listening socket", wire.EnvListenFDs, value, fd)
		}
		in.listeners = append(in.listeners, fd)
	}
	return nil
}

func (in *inheritance) readMaster(getenv func(string) string) error {
	var errs []error
	number := func(name string, into *int) {
		v := getenv(name)
		if v == "" {
			return
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			errs = append(errs, fmt.Errorf("%s=%q is no number", name, v))
			return
		}
		*into = n
	}
	number(wire.EnvWorkerID, &in.id)
	number(wire.EnvGeneration, &in.generation)
	number(wire.EnvCommandFD, &in.command)
	if v := getenv(wire.EnvSettings); v != "" {
		if err := json.Unmarshal([]byte(v), &in.settings); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", wire.EnvSettings, err))
		}
	}
	in.fillSettings()
	return errors.Join(errs...)
}

// fillSettings gives a value to what cannot be off.
func (in *inheritance) fillSettings() {
	if in.settings.BeatEvery <= 0 {
		in.settings.BeatEvery = defaults.BeatEvery
	}
	if in.settings.DrainLimit <= 0 {
		in.settings.DrainLimit = defaults.DrainLimit
	}
}

// closeOnExec keeps the descriptors from the programs the app starts.
func (in *inheritance) closeOnExec() {
	for _, fd := range append([]int{in.pipe, in.command}, in.listeners...) {
		if fd >= 0 {
			unix.CloseOnExec(fd)
		}
	}
}

// takeListeners turns the descriptors, which the gates own from now on, into gates.
func (in *inheritance) takeListeners(seat *sockets.Seat) ([]*sockets.Gate, error) {
	var gates []*sockets.Gate
	for _, fd := range in.listeners {
		ln, err := seat.Listen(fd)
		if err != nil {
			return gates, err
		}
		gates = append(gates, sockets.NewGate(ln))
	}
	return gates, nil
}

func takeCommands(fd int) (*net.UnixConn, error) {
	f, err := nonblocking(fd, "commands")
	if err != nil {
		return nil, err
	}
	defer f.Close() // FileConn has its own duplicate
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("take command socket from descriptor %d: %w", fd, err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("take command socket from descriptor %d: it is a %s socket", fd, c.LocalAddr().Network())
	}
	return u, nil
}

// nonblocking wraps fd for net.FileConn, which calls Fd, and Fd clears the flag
// unless it was set before NewFile (golang/go#24942); so it is set here first.
func nonblocking(fd int, name string) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("%s on descriptor %d: %w", name, fd, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
