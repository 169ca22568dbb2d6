//go:build !linux

package stage

import (
	"fmt"
	"os"
	"syscall"
)

// prepare does what is portable. Elsewhere than on Linux workers are for
// development: no no_new_privs, no death signal.
func prepare(o Order) error {
	if o.Umask != nil {
		syscall.Umask(*o.Umask)
	}
	if o.Dir != "" {
		if err := os.Chdir(o.Dir); err != nil {
			return fmt.Errorf("working_path: %w", err)
		}
	}
	if o.User != nil {
		return fmt.Errorf("become %s: only on Linux", o.User.Name)
	}
	return nil
}

func openSelf(o Order) (int, error) {
	if o.Self {
		return 0, nil
	}
	return -1, nil
}

func leadsTo(string, int) bool { return true }

// ExecFD runs the program that runs now, from its path.
func ExecFD(_ int, argv, env []string) error {
	path, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(path, argv, env)
}
