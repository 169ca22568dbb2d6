package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// lab is the place where everything runs: a folder with the programs, and what was
// started.
type lab struct {
	ctx     context.Context
	dir     string // of programs, sockets and logs
	src     string // folder bench
	rounds  int
	turn    time.Duration
	only    []string // contenders
	running []*server
	sockets int // paths that were given away
}

func newLab(ctx context.Context, rounds int, turn time.Duration, only []string) (*lab, error) {
	dir, err := os.MkdirTemp("", "fugue-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{ctx: ctx, dir: dir, rounds: rounds, turn: turn, only: only}
	if l.src, err = sourceFolder(); err == nil {
		err = l.build()
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// sourceFolder finds bench from the root of the repository or from within it.
func sourceFolder() (string, error) {
	for _, dir := range []string{"bench", "."} {
		if _, err := os.Stat(filepath.Join(dir, "peers", "config.ru")); err == nil {
			return filepath.Abs(dir)
		}
	}
	return "", fmt.Errorf("start this in the root of the repository or in bench: peers/config.ru is not here")
}

// build compiles all programs as they would be deployed.
func (l *lab) build() error {
	for _, p := range []struct{ name, dir, pkg string }{
		{"fugue-http", filepath.Dir(l.src), "./cmd/fugue-http"},
		{"app", l.src, "./apps/fugue"},
		{"peer", l.src, "./apps/peer"},
		{"load", l.src, "./apps/load"},
	} {
		cmd := exec.CommandContext(l.ctx, "go", "build", "-trimpath", "-o", filepath.Join(l.dir, p.name), p.pkg)
		cmd.Dir, cmd.Env = p.dir, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", p.name, err, out)
		}
	}
	return nil
}

func (l *lab) program(name string) string { return filepath.Join(l.dir, name) }

// close ends what still runs and removes the folder.
func (l *lab) close() {
	for _, s := range l.running {
		s.stop()
	}
	_ = os.RemoveAll(l.dir)
}

// tcp is an address that is free now.
func (l *lab) tcp() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// unix is the path of a new socket, short enough for sun_path; peers leave theirs
// behind.
func (l *lab) unix() string {
	l.sockets++
	return fmt.Sprintf("unix:%s/%d.sock", l.dir, l.sockets)
}

// machine says where the numbers come from.
func machine() string {
	return fmt.Sprintf("%d CPUs (%s), Linux %s, %s", runtime.NumCPU(), cpuModel(), kernel(), runtime.Version())
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}
