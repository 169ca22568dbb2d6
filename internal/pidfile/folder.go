package pidfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkFolder refuses a folder in which anybody may replace the pid file, for
// scripts signal the process that it names: as root, or where the folder is
// somebody else's, it must not be writable by the world unless it is sticky as
// /tmp is. In their own folders users may do as they like, and a group that may
// write was chosen by the folder's owner.
func checkFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %s does not exist", path)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", path)
	}
	open := info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0
	if open && (os.Geteuid() == 0 || !ownedBy(info, os.Geteuid())) {
		return fmt.Errorf("anybody may replace files in the folder %s; choose another, or chmod o-w it", path)
	}
	return nil
}

func ownedBy(info fs.FileInfo, uid int) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid
}
