package proxy

import (
	"errors"
	"os"
	"testing"
)

func TestPortIsClaimedOnce(t *testing.T) {
	t.Parallel()
	p := newTestPlace(t)
	if _, err := claimPort(p.port); !errors.Is(err, errClaimed) {
		t.Errorf("claimed a second time: %v", err)
	}
}

func TestStrangerOnThePort(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 100 1
   1: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1
   2: 0100007F:1F92 0100007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 102 1
`
	for name, c := range map[string]struct {
		port, uid int
		want      bool
	}{
		"another's":          {0x1F90, 0, true},
		"one's own":          {0x1F90, 1000, false},
		"root's, to a user":  {0x1F91, 1000, true},
		"a connection only":  {0x1F92, 0, false},
		"nobody listens":     {0x1F93, 0, false},
		"part of the number": {0xF90, 0, false},
	} {
		if got := strangerIn(table, c.port, c.uid); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The table of this machine is read right: what this process listens on is its own,
// and would be a stranger's to another user.
func TestTableOfTheKernel(t *testing.T) {
	t.Parallel()
	p := newTestPlace(t)
	a := play(t, p, "port")
	if _, err := awaitReady(rule{}, p, a, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip(err)
	}
	if strangersPort(p.port) || !strangerIn(string(text), p.port, os.Geteuid()+1) {
		t.Errorf("port %d is not found as this user's", p.port)
	}
}
