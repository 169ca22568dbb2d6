package sockets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestListenTCP(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0", Options{Name: "web", Backlog: 7})
	wantFlags(t, l.FD())
	if !strings.HasPrefix(l.Address(), "127.0.0.1:") || strings.HasSuffix(l.Address(), ":0") {
		t.Errorf("address %q, want the port that was chosen", l.Address())
	}
	if l.Name() != "web" || l.Adopted() || !l.Reachable() {
		t.Errorf("name %q, adopted %v, reachable %v", l.Name(), l.Adopted(), l.Reachable())
	}
	dial(t, l)
	accept(t, l)
	must(t, l.Close())
	if l.FD() != -1 {
		t.Errorf("descriptor %d after Close, want -1", l.FD())
	}
	if c, err := net.Dial("tcp", l.Address()); err == nil {
		c.Close()
		t.Error("still reachable after Close")
	}
}

func TestLocalhostIsIPv4(t *testing.T) {
	t.Parallel()
	l := listen(t, "localhost:0", once)
	if !strings.HasPrefix(l.Address(), "127.0.0.1:") {
		t.Errorf("localhost is %s", l.Address())
	}
}

func TestWildcardsServeBothFamilies(t *testing.T) {
	t.Parallel()
	needIPv6(t)
	for _, address := range []string{":0", "[::]:0"} {
		l := listen(t, address, once)
		for _, host := range []string{"127.0.0.1", "::1"} {
			c, err := net.Dial("tcp", net.JoinHostPort(host, port(l)))
			if err != nil {
				t.Errorf("%s: %v", address, err)
				continue
			}
			c.Close()
		}
	}
}

func TestV6OnlyLeavesThePortToIPv4(t *testing.T) {
	t.Parallel()
	needIPv6(t)
	v6Only := once
	v6Only.V6Only = true
	l := listen(t, ":0", v6Only)
	listen(t, "0.0.0.0:"+port(l), once)
}

func TestIPv4WildcardIsIPv4Only(t *testing.T) {
	t.Parallel()
	l := listen(t, "0.0.0.0:0", once)
	if !strings.HasPrefix(l.Address(), "0.0.0.0:") {
		t.Errorf("address %q", l.Address())
	}
	dial(t, l)
}

func TestFirstUsableAddressIsTaken(t *testing.T) {
	t.Parallel()
	both, err := hostAddresses("", false)
	must(t, err)
	for _, tc := range []struct {
		name string
		v6   error
		want string
		err  error
	}{
		{"IPv6 is there", nil, "::", nil},
		{"no IPv6 in the kernel", fmt.Errorf("socket: %w", unix.EAFNOSUPPORT), "0.0.0.0", nil},
		{"no IPv6 address", unix.EADDRNOTAVAIL, "0.0.0.0", nil},
		{"in use", unix.EADDRINUSE, "::", unix.EADDRINUSE},
	} {
		var last netip.Addr
		_, err := firstUsable(both, func(ip netip.Addr) (int, error) {
			last = ip
			if ip.Is6() {
				return -1, tc.v6
			}
			return 9, nil
		})
		if last.String() != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: took %s, %v, want %s, %v", tc.name, last, err, tc.want, tc.err)
		}
	}
}

func TestIPv4ComesFirst(t *testing.T) {
	t.Parallel()
	got := ipv4First([]netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:10.0.0.2"), netip.MustParseAddr("10.0.0.1")})
	if want := "[10.0.0.2 10.0.0.1 ::1]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestUnusableAddresses(t *testing.T) {
	t.Parallel()
	refused(t, "192.0.2.1:80", once, "this machine has no such address") // TEST-NET-1, RFC 5737
	refused(t, "no-such-host.invalid:80", once, "no-such-host.invalid")  // RFC 2606
	refused(t, "[fe80::1%none]:80", once, "zone none")
	refused(t, "systemd:web", once, "handed over by systemd")
}

// F44: a second server on the same port.
func TestAPortInUseIsRefusedInTheEnd(t *testing.T) {
	t.Parallel()
	first := listen(t, "127.0.0.1:0", once)
	var slept time.Duration
	opt := Options{sleep: func(d time.Duration) { slept += d }}
	err := refused(t, first.Address(), opt, "address already in use: another program listens there (ss -ltnp")
	if !errors.Is(err, unix.EADDRINUSE) || slept != 2*time.Second {
		t.Errorf("waited %v for %v, want 2s and EADDRINUSE", slept, err)
	}
	dial(t, first)
}

// F34: the orphans of a killed master hold the port for a moment.
func TestAPortInUseIsWaitedFor(t *testing.T) {
	t.Parallel()
	orphan := listen(t, "127.0.0.1:0", once)
	tries := 0
	opt := Options{sleep: func(time.Duration) {
		if tries++; tries == 3 {
			orphan.Close()
		}
	}}
	listen(t, orphan.Address(), opt)
	if tries != 3 {
		t.Errorf("slept %d times, want 3", tries)
	}
}

func TestPatienceCanBeShortened(t *testing.T) {
	t.Parallel()
	first := listen(t, "127.0.0.1:0", once)
	for patience, want := range map[time.Duration]int{-1: 0, 50 * time.Millisecond: 1, 300 * time.Millisecond: 3} {
		tries := 0
		refused(t, first.Address(), Options{Patience: patience, sleep: func(time.Duration) { tries++ }})
		if tries != want {
			t.Errorf("patience %v: slept %d times, want %d", patience, tries, want)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err  error
		port uint16
		want string
	}{
		{unix.EACCES, 80, "permission denied: ports below 1024 need root or CAP_NET_BIND_SERVICE"},
		{unix.EACCES, 8080, "permission denied"},
		{unix.EADDRINUSE, 80, "address already in use: another program listens there (ss -ltnp 'sport = :80' names it)"},
	} {
		if err := explainTCP(tc.err, tc.port); err.Error() != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("got %q, want %q", err, tc.want)
		}
	}
}

func TestZonesByNameAndIndex(t *testing.T) {
	t.Parallel()
	all, err := net.Interfaces()
	must(t, err)
	i := slices.IndexFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	for _, zone := range []string{all[i].Name, fmt.Sprint(all[i].Index)} {
		if got, err := zoneIndex(zone); int(got) != all[i].Index || err != nil {
			t.Errorf("zone %s: %d, %v, want %d", zone, got, err, all[i].Index)
		}
	}
}

func needIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	l.Close()
}

func port(l *Listener) string { return l.Address()[strings.LastIndex(l.Address(), ":")+1:] }
