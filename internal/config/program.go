package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Program is the path of app.command's program: itself if it has a slash, else
// the first match in the PATH of app.env or of the environment. Relative
// folders in PATH are passed over, since they would depend on where we stand.
func (c *Config) Program() (string, error) {
	if len(c.App.Command) == 0 {
		return "", errors.New("no command is set")
	}
	name := c.App.Command[0]
	if strings.Contains(name, "/") {
		path := absolute(c.Dir, name)
		return path, checkProgram(path)
	}
	return c.lookPath(name)
}

func (c *Config) lookPath(name string) (string, error) {
	path, ok := c.App.Env["PATH"]
	if !ok {
		path = os.Getenv("PATH")
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if filepath.IsAbs(dir) && checkProgram(file) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("%q is not found in PATH; a program in this folder is written \"./%s\"", name, name)
}

// checkProgram says why the file at path could not be executed by anyone.
// Whether the user of the workers may, shows when the first one starts.
func checkProgram(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%q does not exist", path)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%q is a folder, not a program", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%q is not a regular file", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%q is not executable: chmod +x", path)
	}
	return nil
}

// checkInterpreter looks for the program that the #! line of a script names:
// without it the kernel says of the script itself that it does not exist.
func (c *Config) checkInterpreter(script string) error {
	words := interpreter(script)
	if len(words) == 0 {
		return nil
	}
	if err := checkProgram(words[0]); err != nil {
		return fmt.Errorf("%q needs an interpreter: %w", script, err)
	}
	if len(words) < 2 || filepath.Base(words[0]) != "env" || words[1][0] == '-' || strings.ContainsAny(words[1], "=/") {
		return nil
	}
	if _, err := c.lookPath(words[1]); err != nil {
		return fmt.Errorf("%q needs an interpreter: %w", script, err)
	}
	return nil
}

// interpreter reads the words of a #! line, none if there is none or the file
// may not be read: executing needs no right to read.
func interpreter(script string) []string {
	f, err := os.OpenFile(script, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	head, _ := io.ReadAll(io.LimitReader(f, 256)) // as much as execve(2) reads
	line, _, _ := bytes.Cut(head, []byte("\n"))
	if !bytes.HasPrefix(line, []byte("#!")) {
		return nil
	}
	// A carriage return stays: to the kernel it is part of the name.
	return strings.FieldsFunc(string(line[2:]), func(r rune) bool { return r == ' ' || r == '\t' })
}
