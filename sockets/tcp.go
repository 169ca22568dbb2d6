package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// resolveLimit is how long a name server may take to say where to listen.
const resolveLimit = 5 * time.Second

func openTCP(addr Address, opt Options) (*Listener, error) {
	port, err := strconv.ParseUint(addr.Port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q is not a number from 0 to 65535", addr.Port)
	}
	hosts, err := hostAddresses(addr.Host, opt.V6Only)
	if err != nil {
		return nil, err
	}
	fd, err := firstUsable(hosts, func(ip netip.Addr) (int, error) {
		return bindTCP(netip.AddrPortFrom(ip, uint16(port)), opt)
	})
	if err != nil {
		return nil, explainTCP(err, uint16(port))
	}
	l, err := fromDescriptor(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	if opt.ReusePort {
		if err := l.becomeGroup(); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	return l, nil
}

// hostAddresses returns where to listen for host, best first.
func hostAddresses(host string, v6Only bool) ([]netip.Addr, error) {
	if host == "" && v6Only {
		return []netip.Addr{netip.IPv6Unspecified()}, nil
	}
	if host == "" {
		return []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveLimit)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return ipv4First(ips), err
}

// ipv4First sorts as net.Listen chooses: "localhost" is 127.0.0.1 for most.
func ipv4First(ips []netip.Addr) []netip.Addr {
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	slices.SortStableFunc(ips, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return ips
}

// firstUsable tries hosts in turn until bind does not fail for lack of the
// address or of its whole family (a kernel without IPv6).
func firstUsable(hosts []netip.Addr, bind func(netip.Addr) (int, error)) (fd int, err error) {
	for _, ip := range hosts {
		fd, err = bind(ip)
		if !isOneOf(err, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.EADDRNOTAVAIL) {
			return fd, err
		}
	}
	return -1, err
}

func bindTCP(at netip.AddrPort, opt Options) (int, error) {
	sa, family, err := sockaddr(at)
	if err != nil {
		return -1, err
	}
	// IPPROTO_TCP: what net.Listen opens since Go 1.24 is an MPTCP socket,
	// which lacks options and is refused by sandboxes (golang/go#74643).
	fd, err := newSocket(family, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	if err := listenTCP(fd, sa, opt); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func listenTCP(fd int, sa unix.Sockaddr, opt Options) error {
	if err := tuneTCP(fd, opt.DeferAccept); err != nil {
		return err
	}
	if in6, ok := sa.(*unix.SockaddrInet6); ok && in6.Addr == [16]byte{} {
		// Said in both cases: the default is a sysctl (net.ipv6.bindv6only).
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, boolInt(opt.V6Only)); err != nil {
			return fmt.Errorf("setsockopt IPV6_V6ONLY: %w", err)
		}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return err
	}
	return unix.Listen(fd, opt.Backlog)
}

func sockaddr(at netip.AddrPort) (unix.Sockaddr, int, error) {
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}, unix.AF_INET, nil
	}
	zone, err := zoneIndex(at.Addr().Zone())
	return &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16(), ZoneId: zone}, unix.AF_INET6, err
}

// zoneIndex returns the index of a network interface, given by name or index.
func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("zone %s: %w", zone, err)
	}
	return uint32(ifi.Index), nil
}

// tcpOption is a socket option set once on the listener; accepted sockets start
// as copies of it (tcp(7), "Accepted sockets inherit").
type tcpOption struct {
	name              string
	level, opt, value int
}

func tuneTCP(fd int, deferAccept bool) error {
	options := append([]tcpOption{
		// Without it a restart has to wait for TIME_WAIT of old connections.
		{"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		// As Go has it (net.KeepAliveConfig): a dead peer is noticed in 2.5 minutes.
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
	}, systemOptions(deferAccept)...)
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("setsockopt %s: %w", o.name, err)
		}
	}
	return nil
}

// explainTCP adds what to do to the errors that users meet.
func explainTCP(err error, port uint16) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w: another program listens there (ss -ltnp 'sport = :%d' names it)", err, port)
	case isOneOf(err, unix.EACCES, unix.EPERM) && port < 1024:
		return fmt.Errorf("%w: ports below 1024 need root or CAP_NET_BIND_SERVICE", err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this machine has no such address", err)
	}
	return err
}

func isOneOf(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
