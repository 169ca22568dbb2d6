package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// WorkerCount is workers, or if that is 0 one per CPU the process may use, at
// least 2, so that one may be stuck or replaced while the other serves.
//
// GOMAXPROCS(0) knows the affinity mask and the CPU quota of the cgroup, and
// follows their changes. If the variable GOMAXPROCS is set it is that number
// instead: who sets it has said how many CPUs are ours.
func (c *Config) WorkerCount() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return max(2, runtime.GOMAXPROCS(0))
}

// Surge is max_surge, or if that is 0 a quarter of the workers, at least 1.
func (c *Config) Surge() int {
	if c.MaxSurge > 0 {
		return c.MaxSurge
	}
	return max(1, c.WorkerCount()/4)
}

// GoMaxProcs is app.gomaxprocs, or if that is 0 each worker's share of the CPUs,
// rounded up.
func (c *Config) GoMaxProcs() int {
	if c.App.GOMAXPROCS > 0 {
		return c.App.GOMAXPROCS
	}
	n := c.WorkerCount()
	return (runtime.GOMAXPROCS(0) + n - 1) / n
}

// What MemoryLimit leaves for what the Go runtime does not count (the program
// itself, stacks of threads), and the least limits that it sets: below those of a
// group a worker may well need more while others need less.
const (
	memoryReserve  = 16 << 20
	leastOfGroup   = 64 << 20
	leastOfMaximum = 16 << 20
)

// MemoryLimit is what the Go runtime of a worker is told to keep below (GOMEMLIMIT),
// in bytes; 0 = nothing. It follows from max_memory, so that nobody is replaced for
// garbage, and from the worker's share of group, the limit of the control group (0 =
// none), so that garbage does not have the kernel kill one. In proxy mode it is 0: the
// worker needs little, and of the app behind it nothing is known.
func (c *Config) MemoryLimit(group int64) int64 {
	var least int64
	if c.App.Proxy {
		return 0
	}
	for _, x := range []struct{ most, needs int64 }{
		{int64(c.Recycle.MaxMemory), leastOfMaximum},
		{group / int64(c.WorkerCount()), leastOfGroup},
	} {
		n := x.most - max(x.most/10, memoryReserve)
		if n >= x.needs && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// Addresses are listen and [[listener]] together, each with its options. It is
// empty if only what systemd hands over is to be used (listen = []).
func (c *Config) Addresses() []Listener {
	all := make([]Listener, 0, len(c.Listen)+len(c.Listeners))
	for _, addr := range c.Listen {
		l := *withDefaults[Listener]()
		l.Address = addr
		all = append(all, l)
	}
	return append(all, c.Listeners...)
}

// WorkDir is working_path, or the folder of the file.
func (c *Config) WorkDir() string {
	if c.WorkingPath != "" {
		return c.WorkingPath
	}
	return c.Dir
}

// NoNewPrivileges is no_new_privs, or if that is not set whether uid is.
func (c *Config) NoNewPrivileges() bool {
	if c.NoNewPrivs != nil {
		return *c.NoNewPrivs
	}
	return c.UID != ""
}

// maxControl leaves room in sun_path for a temporary name beside the socket.
const maxControl = 99

// Control is control_path, or a path in tmp_path that follows from the file's
// path and the user, so that `fugue-http status -c FILE` finds it. Without a
// file it follows from what two runs cannot share, the addresses.
func (c *Config) Control() string {
	if c.ControlPath != "" {
		return c.ControlPath
	}
	seed := c.File
	if seed == "" {
		seed = c.WorkDir()
		for _, l := range c.Addresses() {
			seed += "\n" + l.Address
		}
	}
	sum := sha256.Sum256([]byte(seed))
	folder := fmt.Sprintf("fugue-%d", os.Geteuid())
	return strings.TrimSuffix(c.TmpPath, "/") + "/" + folder + "/" + hex.EncodeToString(sum[:8]) + ".sock"
}
