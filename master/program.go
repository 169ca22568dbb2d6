package master

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// program is the file that the workers of a generation run, kept open once one of
// them has become ready: whatever a deploy does to its name, workers that die are
// replaced by workers of the same program. Until then each start opens it anew,
// so that a file that is mended is found.
type program struct {
	path   string // "" if it cannot be kept: a script, or what cannot be opened
	fd     int    // -1 without one
	proven bool
}

// openProgram opens the program of app, if it is one that can be run without its
// name. The running binary is kept open by the process itself.
func openProgram(app App) (program, error) {
	p := program{path: app.Path, fd: -1}
	if app.Path == "" {
		return p, nil
	}
	fd, err := openBinary(app.Path)
	switch {
	case err == nil:
		p.fd = fd
	case app.Self:
		return p, fmt.Errorf("%s: %w", app.Path, err)
	}
	return p, nil
}

var errNoBinary = errors.New("it is no binary of this system (ELF)")

// openBinary returns a descriptor that can be executed and nothing else.
func openBinary(path string) (int, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, err
	}
	defer f.Close()
	magic := make([]byte, 4)
	if _, err := f.ReadAt(magic, 0); err != nil || !bytes.Equal(magic, []byte("\x7fELF")) {
		return -1, errNoBinary
	}
	return openForExec(path)
}

// refresh looks for the program again, if it has never worked.
func (p *program) refresh() {
	if p.proven || p.path == "" {
		return
	}
	fd, err := openBinary(p.path)
	if err != nil {
		return // the start will tell
	}
	p.close()
	p.fd = fd
}

func (p *program) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}
