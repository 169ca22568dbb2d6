package sockets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Address is a parsed listen address.
type Address struct {
	Network string // "tcp", "unix" or "systemd"
	Host    string // tcp: IP address or name; empty is every address of the machine
	Port    string // tcp: 0 to 65535 in decimal; 0 lets the kernel choose
	Path    string // unix: path of the socket, or "@name" in the abstract namespace
	Name    string // systemd: the name in LISTEN_FDNAMES
}

// ParseAddress reads host:port, :port, unix:/path, unix:@abstract or
// systemd:NAME. It looks nothing up and opens nothing.
func ParseAddress(s string) (Address, error) {
	a, err := parse(s)
	if err != nil {
		return Address{}, fmt.Errorf("listen address %q: %w", s, err)
	}
	return a, nil
}

func parse(s string) (Address, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case s == "":
		return Address{}, errors.New(`is empty; write host:port, :port, unix:/path or systemd:NAME`)
	case kind == "unix":
		return Address{Network: "unix", Path: rest}, checkPath(rest)
	case kind == "systemd":
		return Address{Network: "systemd", Name: rest}, checkName(rest)
	case strings.Contains(s, "/"):
		return Address{}, fmt.Errorf("is neither host:port nor unix:/path%s", meant(s))
	}
	return parseTCP(s)
}

// meant guesses what was meant by an address with a slash.
func meant(s string) string {
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		return fmt.Sprintf("; leave out %q%s", scheme+"://", pathHint(rest))
	}
	if strings.HasPrefix(s, "/") {
		return fmt.Sprintf("; did you mean %q?", "unix:"+s)
	}
	return ""
}

func pathHint(rest string) string {
	if strings.Contains(rest, "/") {
		return " and the path"
	}
	return ""
}

func parseTCP(s string) (Address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return Address{}, splitHint(s, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return Address{}, fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	if host, err = canonicalHost(host); err != nil {
		return Address{}, err
	}
	return Address{Network: "tcp", Host: host, Port: strconv.FormatUint(n, 10)}, nil
}

// splitHint says what to write instead of s, which is not host:port.
func splitHint(s string, err error) error {
	if _, numeric := strconv.ParseUint(s, 10, 16); numeric == nil {
		return fmt.Errorf("has no host; write :%s for all addresses of this machine", s)
	}
	if _, ip := netip.ParseAddr(s); ip == nil && strings.Contains(s, ":") {
		return errors.New("is an IPv6 address without a port; write [address]:port")
	}
	if addr, ok := errors.AsType[*net.AddrError](err); ok {
		return errors.New(addr.Err + "; write host:port, an IPv6 host in brackets")
	}
	return err
}

// canonicalHost checks that host is an IP address or can be a host's name.
func canonicalHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String(), checkZone(ip.Zone())
	}
	switch {
	case host == "*":
		return "", errors.New("write :port for all addresses of this machine")
	case strings.ContainsFunc(host, notInName):
		return "", fmt.Errorf("host %q is neither an IP address nor a name", host)
	case host != "" && strings.Trim(host, "0123456789.") == "":
		return "", fmt.Errorf("host %q is not an IPv4 address", host)
	}
	return host, nil
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

func notInName(r rune) bool { return !strings.ContainsRune(nameLetters, r) }

// checkZone accepts what can name a network interface or be its index.
func checkZone(zone string) error {
	if strings.ContainsFunc(zone, notInName) {
		return fmt.Errorf("zone %q is not the name of a network interface", zone)
	}
	return nil
}

// checkName accepts what systemd accepts as FileDescriptorName
// (systemd.socket(5)): up to 255 printable ASCII characters without a colon.
func checkName(name string) error {
	odd := func(r rune) bool { return r < ' ' || r > '~' || r == ':' }
	switch {
	case name == "":
		return errors.New("has no name; write systemd:NAME with the socket's FileDescriptorName")
	case len(name) > 255 || strings.ContainsFunc(name, odd):
		return errors.New("a socket's name is at most 255 printable ASCII characters without a colon")
	}
	return nil
}

// String returns what [ParseAddress] reads back as a.
func (a Address) String() string {
	switch a.Network {
	case "unix":
		return "unix:" + a.Path
	case "systemd":
		return "systemd:" + a.Name
	}
	return net.JoinHostPort(a.Host, a.Port)
}
