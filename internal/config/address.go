package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxUnixPath is what fits into sun_path with its closing NUL (unix(7)).
const maxUnixPath = 107

// checkAddress says what is wrong with the form of an address to listen on.
// Whether it can be bound is known only when it is.
func checkAddress(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return checkUnix(path)
	}
	if name, ok := strings.CutPrefix(addr, "systemd:"); ok {
		return checkFDName(name)
	}
	if hint := addressHint(addr); hint != "" {
		return fmt.Errorf("%q is not an address: write %q", addr, hint)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf(`%q is not an address: write it as "host:port", ":port", "unix:/path", "unix:@name" or "systemd:NAME"`, addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q: the port must be a number from 0 to 65535", addr)
	}
	return checkHost(addr, host)
}

// addressHint translates what other servers write.
func addressHint(addr string) string {
	if _, err := strconv.ParseUint(addr, 10, 16); err == nil {
		return ":" + addr
	}
	if port, ok := strings.CutPrefix(addr, "*:"); ok {
		return ":" + port
	}
	if strings.HasPrefix(addr, "/") {
		return "unix:" + addr
	}
	for _, scheme := range []string{"tcp://", "http://", "tcp:"} {
		if rest, ok := strings.CutPrefix(addr, scheme); ok {
			return strings.TrimRight(rest, "/")
		}
	}
	if ip, err := netip.ParseAddr(addr); err == nil {
		return net.JoinHostPort(ip.String(), "8080")
	}
	return ""
}

func checkHost(addr, host string) error {
	_, err := netip.ParseAddr(host)
	switch {
	case host == "" || err == nil:
		return nil
	case strings.Contains(host, ":"):
		return fmt.Errorf("%q: %q is not an IPv6 address", addr, host)
	case strings.Trim(host, "0123456789.") == "":
		return fmt.Errorf("%q: %q is not an IP address", addr, host)
	case len(host) > 253 || strings.IndexFunc(host, notInHostName) >= 0:
		return fmt.Errorf("%q: %q is neither an IP address nor a host name", addr, host)
	}
	return nil
}

func notInHostName(r rune) bool { return r != '.' && !isBareRune(r) }

func checkUnix(path string) error {
	switch {
	case path == "" || path == "@":
		return errors.New(`"unix:" needs a path, "unix:/path", or an abstract name, "unix:@name"`)
	case len(path) > maxUnixPath:
		return fmt.Errorf("unix path %q has %d bytes; the kernel takes at most %d", path, len(path), maxUnixPath)
	case strings.HasSuffix(path, "/"):
		return fmt.Errorf("unix path %q is a folder, not a file", path)
	}
	return noNUL(path)
}

// checkFDName holds a name to the rules of FDNAMES in sd_listen_fds(3): the
// list of names is separated by colons.
func checkFDName(name string) error {
	bad := strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }) >= 0
	if name == "" || len(name) > 255 || bad {
		return fmt.Errorf("%q is not a name for a socket: up to 255 printable characters without colon and space", name)
	}
	return nil
}

// socketFile is the path of a unix socket that lies in the file system.
func socketFile(addr string) (path string, ok bool) {
	path, ok = strings.CutPrefix(addr, "unix:")
	return path, ok && !strings.HasPrefix(path, "@")
}

// sameAddress is a form in which two ways to write one address are equal; ""
// for port 0, which is another port each time.
func sameAddress(addr string) string {
	if strings.HasPrefix(addr, "unix:") || strings.HasPrefix(addr, "systemd:") {
		return addr
	}
	host, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.ParseUint(port, 10, 16)
	if n == 0 {
		return ""
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	return net.JoinHostPort(strings.ToLower(host), strconv.FormatUint(n, 10))
}
