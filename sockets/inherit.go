package sockets

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The descriptors handed down start at 3 (sd_listen_fds(3)). More than 1024 is
// no configuration but nonsense in the environment.
const (
	firstInherited = 3
	mostInherited  = 1024
)

// Inherited takes over the listening sockets that systemd, or a master before
// this one, left open for process pid: LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES
// as in sd_listen_fds(3). The variables of another process are none of our
// business: no listener, no error. All are good or none is taken. The caller
// removes the variables from the environment.
func Inherited(pid int, getenv func(string) string) ([]*Listener, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) || getenv("LISTEN_FDS") == "" {
		return nil, nil
	}
	names, err := inheritedNames(getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES"))
	if err != nil {
		return nil, fmt.Errorf("inherited sockets: %w", err)
	}
	var all []*Listener
	for i, name := range names {
		l, err := adopt(firstInherited+i, name)
		if err != nil {
			return nil, fmt.Errorf("inherited socket %q: descriptor %d %w", name, firstInherited+i, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// inheritedNames returns one name for each of the inherited descriptors.
func inheritedNames(fds, fdNames string) ([]string, error) {
	n, err := strconv.Atoi(fds)
	if err != nil || n < 1 || n > mostInherited {
		return nil, fmt.Errorf("LISTEN_FDS=%q is not a number from 1 to %d", fds, mostInherited)
	}
	if fdNames == "" {
		fdNames = "unknown" + strings.Repeat(":unknown", n-1) // as sd_listen_fds_with_names has it
	}
	names := strings.Split(fdNames, ":")
	if len(names) != n {
		return nil, fmt.Errorf("LISTEN_FDNAMES=%q names %d, LISTEN_FDS=%d", fdNames, len(names), n)
	}
	return names, nil
}

// adopt takes over a descriptor that systemd may have opened.
func adopt(fd int, name string) (*Listener, error) {
	l, err := identify(fd)
	if err != nil {
		return nil, err
	}
	l.name, l.adopted = name, true
	return l, l.secure()
}

// identify checks all that can be checked, because what names the descriptor may
// be forged or stale and the descriptor be anything. It changes nothing.
func identify(fd int) (*Listener, error) {
	if err := checkListening(fd); err != nil {
		return nil, err
	}
	return fromDescriptor(fd)
}

// secure gives the descriptor the flags that each listener's has.
func (l *Listener) secure() error {
	unix.CloseOnExec(l.fd)
	if err := unix.SetNonblock(l.fd, true); err != nil {
		return fmt.Errorf("cannot be set to O_NONBLOCK: %w", err)
	}
	return nil
}

func checkListening(fd int) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case errors.Is(err, unix.EBADF):
		return errors.New("is not open")
	case errors.Is(err, unix.ENOTSOCK):
		return errors.New("is not a socket")
	case err != nil:
		return fmt.Errorf("cannot be asked for its type: %w", err)
	case kind != unix.SOCK_STREAM:
		return errors.New("is not a stream socket")
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listening == 0 {
		return errors.New("is a socket that does not listen")
	}
	return nil
}

// fromDescriptor returns the listener whose descriptor is fd, its network and
// address as the kernel knows them. It takes charge of fd unless it fails.
func fromDescriptor(fd int) (*Listener, error) {
	sa, err := unix.Getsockname(fd)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, errors.New("is of a family other than IPv4, IPv6 and unix")
	}
	if err != nil {
		return nil, fmt.Errorf("has no address: %w", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return tcpListener(fd, netip.AddrFrom4(sa.Addr), sa.Port), nil
	case *unix.SockaddrInet6:
		return tcpListener(fd, netip.AddrFrom16(sa.Addr).WithZone(zoneName(sa.ZoneId)), sa.Port), nil
	case *unix.SockaddrUnix:
		return &Listener{fd: fd, network: "unix", address: "unix:" + sa.Name}, nil
	}
	return nil, errors.New("is of a family other than IPv4, IPv6 and unix")
}

func tcpListener(fd int, ip netip.Addr, port int) *Listener {
	return &Listener{fd: fd, network: "tcp", address: netip.AddrPortFrom(ip, uint16(port)).String()}
}

func zoneName(index uint32) string {
	if index == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(index), 10)
}
