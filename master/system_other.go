//go:build !linux

package master

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/handover"
)

func pipe(p *[2]int) error {
	if err := unix.Pipe(p[:]); err != nil {
		return err
	}
	unix.CloseOnExec(p[0])
	unix.CloseOnExec(p[1])
	return nil
}

func socketpair() (ours, theirs int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, -1, err
	}
	unix.CloseOnExec(p[0])
	unix.CloseOnExec(p[1])
	return p[0], p[1], nil
}

func dupOver(fd, target int) error { return unix.Dup2(fd, target) }

func writeFromBackground() {}

func scratchFile() (int, error) {
	f, err := os.CreateTemp("", "fugue-log")
	if err != nil {
		return -1, err
	}
	defer f.Close()
	_ = os.Remove(f.Name())
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
}

func openForExec(path string) (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) }

func closeOnExec() {}

const firstFD = 3

func openImage(path string) (handover.Program, error) { return handover.Named(path), nil }
