package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/fugue-http/fugue/internal/stage"
	"github.com/fugue-http/fugue/internal/wire"
)

// Variables that tell the app where to listen; it takes the one it knows.
const (
	envPort   = "PORT"
	envSocket = "FUGUE_APP_SOCKET"
)

// place is where the app may listen.
type place struct {
	folder *folder
	port   int
	claim  io.Closer // keeps the port from other workers; nil where that cannot be had
}

// newPlace finds an address that nobody else uses.
func newPlace(tmp string) (*place, error) {
	port, claim, err := choosePort()
	if err != nil {
		return nil, err
	}
	f, err := newFolder(tmp)
	if err != nil {
		closeClaim(claim)
		return nil, err
	}
	return &place{f, port, claim}, nil
}

func (p *place) remove() {
	p.folder.remove()
	closeClaim(p.claim)
}

func closeClaim(c io.Closer) {
	if c != nil {
		_ = c.Close()
	}
}

// environ is env for the app: what belongs to the worker is not its business.
func (p *place) environ(env []string) []string {
	private := append(slices.Clone(wire.WorkerEnv), wire.EnvNotify, wire.EnvWatchdog, envPort)
	env = slices.DeleteFunc(stage.Without(env, private...), func(v string) bool { return strings.HasPrefix(v, "FUGUE_") })
	return append(env, envPort+"="+strconv.Itoa(p.port), envSocket+"="+p.folder.socket())
}

// address is one that can be dialled.
type address struct{ network, addr string }

func (a address) String() string { return a.addr }

// addresses are all on which the app may be found. What listens on "localhost" may
// have got the IPv6 one.
func (p *place) addresses() []address {
	port := strconv.Itoa(p.port)
	return []address{{"unix", p.folder.socket()}, {"tcp", net.JoinHostPort("127.0.0.1", port)}, {"tcp", net.JoinHostPort("::1", port)}}
}

// mostPorts is how many ports are tried that siblings have claimed.
const mostPorts = 100

var errClaimed = errors.New("claimed by another worker")

// choosePort has the kernel find a port that is free on the loopback. It is free
// until the app listens on it, so siblings that look at the same time claim theirs.
func choosePort() (port int, claim io.Closer, err error) {
	for range mostPorts {
		ln, lerr := net.Listen("tcp4", "127.0.0.1:0")
		if lerr != nil {
			return 0, nil, fmt.Errorf("port for the app: %w", lerr)
		}
		port = ln.Addr().(*net.TCPAddr).Port
		claim, err = claimPort(port)
		_ = ln.Close()
		if err == nil {
			return port, claim, nil
		}
	}
	return 0, nil, fmt.Errorf("port for the app: %w", err)
}
