package sockets

import (
	"fmt"
	"os"
	"testing"
)

func TestAbstractNames(t *testing.T) {
	t.Parallel()
	name := fmt.Sprintf("unix:@fugue-test-%d", os.Getpid())
	l := listen(t, name, once)
	wantFlags(t, l.FD())
	if l.Address() != name || !l.Reachable() {
		t.Errorf("address %q, reachable %v", l.Address(), l.Reachable())
	}
	dial(t, l)
	refused(t, name, once, "address already in use: another process listens there")
	must(t, l.Close())
	listen(t, name, once)
	refused(t, "unix:@"+long("x", 107), once, "the name has 107 bytes, the system allows 106")
}
