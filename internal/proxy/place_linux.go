package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// claimPort takes a name that only one process can have: an abstract Unix socket
// ends with its process and belongs to the network namespace, as ports do.
func claimPort(port int) (io.Closer, error) {
	name := fmt.Sprintf("@fugue-app-port-%d", port)
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, errClaimed
	}
	if err != nil {
		return nil, nil // a system without such names; the risk is small
	}
	return c, nil
}

// strangersPort says that another user listens on the port: whoever takes it
// before the app does would otherwise be sent the requests.
func strangersPort(port int) bool {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err == nil && strangerIn(string(text), port, os.Geteuid()) {
			return true
		}
	}
	return false
}

// strangerIn reads a table of proc_net_tcp(5): the second field is the local
// address, the fourth the state (0A = LISTEN), the eighth the user.
func strangerIn(table string, port, uid int) bool {
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) > 7 && f[3] == "0A" && strings.HasSuffix(f[1], suffix) && f[7] != strconv.Itoa(uid) {
			return true
		}
	}
	return false
}
