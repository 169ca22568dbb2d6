package handover

import (
	"fmt"
	"os"
	"syscall"

	"github.com/fugue-http/fugue/internal/stage"
)

// Program is what may take the place of this one. By its descriptor it is the same
// file in each trial and at the end, whatever is put under its name meanwhile; a
// script can only be run by its name.
type Program struct {
	Path string
	FD   int // at least LowestFD; -1: by its name
}

// LowestFD is above all descriptors that a program is handed in its trial.
const LowestFD = 10

// Named is a program that is run by its name.
func Named(path string) Program { return Program{path, -1} }

// name is what a child runs it by, which has this process's descriptors until then.
func (p Program) name() string {
	if p.FD < 0 {
		return p.Path
	}
	return fmt.Sprintf("/proc/self/fd/%d", p.FD)
}

// exec returns only if it fails.
func (p Program) exec(env []string) error {
	if p.FD < 0 {
		return syscall.Exec(p.Path, os.Args, env)
	}
	return stage.ExecFD(p.FD, os.Args, env)
}
