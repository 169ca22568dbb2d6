package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// PrepareFolder makes the folder that the default path of the control socket
// lies in, private to this user, or checks that it is. Its name can be guessed
// and its parent is open to everybody, so whatever somebody else has put there
// is refused. Rights that are too wide on our own folder are taken back.
func PrepareFolder(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder of the control socket: %w", err)
	}
	f, err := openFolder(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Mode().Perm() != 0o700 { // also what a strange umask has left of it
		err = f.Chmod(0o700)
	}
	if err != nil {
		return fmt.Errorf("the folder of the control socket: %w", err)
	}
	return nil
}

// CheckFolder refuses a folder in which somebody else may have put the socket.
// That there is none is no fault: then there is no socket.
func CheckFolder(path string) error {
	f, err := openFolder(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = f.Close()
	}
	return err
}

// openFolder opens a folder of this user's. What it has looked at is what it has
// opened (O_NOFOLLOW), so nothing can be put in its place meanwhile.
func openFolder(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, whyNot(path, err)
	}
	info, err := f.Stat()
	if err == nil {
		err = foreign(path, info)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// whyNot says in words why the folder could not be opened.
func whyNot(path string, err error) error {
	info, lerr := os.Lstat(path)
	switch {
	case lerr != nil:
		return fmt.Errorf("the folder of the control socket: %w", lerr)
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%s is a symbolic link, not a folder%s", path, whatToDo)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder%s", path, whatToDo)
	case foreign(path, info) != nil:
		return foreign(path, info)
	}
	return fmt.Errorf("the folder of the control socket: %w", err)
}

func foreign(path string, info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user (uid %d)%s", path, st.Uid, whatToDo)
	}
	return nil
}

const whatToDo = ", and the control socket would not be safe in it: remove it, or set control_path or tmp_path"
