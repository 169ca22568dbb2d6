package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Check looks at the machine: whether the users, folders and programs that the
// configuration names are there. It changes nothing. The warnings are no
// obstacle to a start.
func (c *Config) Check() (faults Faults, warnings []string) {
	k := checker{c: c, root: os.Geteuid() == 0}
	k.identity()
	k.folders()
	k.sockets()
	k.app()
	k.settingsFile()
	return k.faults.locate(c.File, nil), k.warnings
}

type checker struct {
	c        *Config
	root     bool
	faults   Faults
	warnings []string
}

func (k *checker) check(path string, err error) {
	if err != nil {
		k.faults.add(path, "%v", err)
	}
}

func (k *checker) warn(format string, args ...any) {
	k.warnings = append(k.warnings, fmt.Sprintf(format, args...))
}

func (k *checker) identity() {
	key := "uid"
	if k.c.UID == "" {
		key = "gid"
	} else if _, err := lookupUser(k.c.UID); err == nil && k.c.GID != "" {
		key = "gid"
	}
	id, err := k.c.Identity()
	k.check(key, err)
	if id != nil && err == nil && !k.root {
		k.warn("%s is set, but this is not root: workers cannot be started unless this user may change ids", key)
	}
}

func (k *checker) folders() {
	c := k.c
	k.check("working_path", isFolder(c.WorkDir()))
	if c.ControlPath == "" {
		k.check("tmp_path", isFolder(c.TmpPath))
	} else {
		k.check("control_path", socketPlace(c.ControlPath))
	}
	k.check("log_file", filePlace(c.LogFile))
	k.check("master_log_file", filePlace(c.MasterLogFile))
	k.check("master_pid_path", errors.Join(filePlace(c.MasterPIDPath), k.guarded(c.MasterPIDPath)))
}

func (k *checker) sockets() {
	for i, addr := range k.c.Listen {
		if path, isFile := socketFile(addr); isFile {
			k.check(indexKey("listen", i), socketPlace(path))
		}
	}
	for i, l := range k.c.Listeners {
		at := indexKey("listener", i)
		if path, isFile := socketFile(l.Address); isFile {
			k.check(at+".address", socketPlace(path))
		}
		k.listenerOwner(at, l)
	}
}

func (k *checker) listenerOwner(at string, l Listener) {
	if l.Owner != "" {
		_, err := lookupUser(l.Owner)
		k.check(at+".owner", err)
	}
	if l.Group != "" {
		_, err := lookupGroup(l.Group)
		k.check(at+".group", err)
	}
}

func (k *checker) app() {
	if k.c.App.Root != "" {
		k.check("app.root", isFolder(k.c.App.Root))
	}
	if len(k.c.App.Command) == 0 {
		return
	}
	program, err := k.c.Program()
	if err == nil {
		err = k.c.checkInterpreter(program)
	}
	k.check("app.command", err)
}

// settingsFile warns of a way to root: who can write the file decides what the
// master does.
func (k *checker) settingsFile() {
	if !k.root || k.c.File == "" {
		return
	}
	const others = 0o022
	if info, err := os.Stat(k.c.File); err == nil && info.Mode().Perm()&others != 0 {
		k.warn("%s can be written by others than its owner: chmod go-w", k.c.File)
	}
	dir := filepath.Dir(k.c.File)
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&others != 0 && info.Mode()&fs.ModeSticky == 0 {
		k.warn("%s, the folder of the settings file, can be written by others than its owner: chmod go-w", dir)
	}
}

// guarded refuses a folder in which anyone could put another file in the place
// of root's.
func (k *checker) guarded(file string) error {
	if file == "" || !k.root {
		return nil
	}
	dir := filepath.Dir(file)
	info, err := os.Stat(dir)
	if err == nil && info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("the folder %q can be written by anyone: use another, or chmod o-w", dir)
	}
	return nil
}

// filePlace says why a file could not be created or opened at path.
func filePlace(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%q is a folder, not a file", path)
	}
	return isFolder(filepath.Dir(path))
}

// socketPlace also refuses what is there and is no socket: it is not ours to
// remove.
func socketPlace(path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%q is there and is not a socket: remove it if it is not wanted", path)
	}
	return isFolder(filepath.Dir(path))
}

func isFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %q does not exist", path)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%q is not a folder", path)
	}
	return nil
}
