package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"

	"github.com/BurntSushi/toml"
)

// maxFile bounds the file that is read: a thousand times what anyone writes, and
// small enough that a log file named by mistake does no harm.
const maxFile = 1 << 20

// Load reads the file at path over the defaults, applies the overrides (flags
// of the command line) in their order, and validates the whole. The error is of
// type Faults and holds everything that is wrong.
func Load(path string, overrides ...func(*Config)) (*Config, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, Faults{{File: path, Text: err.Error()}}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, Faults{{File: path, Text: err.Error()}}
	}
	c, lines, faults := decode(text, abs)
	if c == nil {
		return nil, faults.locate(path, lines)
	}
	for _, override := range overrides {
		override(c)
	}
	faults = append(faults, c.validate(faults)...).locate(path, lines)
	if len(faults) > 0 {
		return nil, faults
	}
	return c, nil
}

// decode turns the text of the file into a Config, nil if it is not TOML.
func decode(text, file string) (*Config, lineTable, Faults) {
	lines, err := scanLines(text)
	if err != nil {
		return nil, lines, Faults{{Text: err.Error()}}
	}
	raw, fault := parseTOML(text)
	if fault != nil {
		return nil, lines, Faults{*fault}
	}
	c := withDefaults[Config]()
	c.File, c.Dir = file, filepath.Dir(file)
	if _, given := raw["listener"]; given {
		c.Listen = nil // its default is for files that say nothing of listeners
	}
	var a assigner
	a.table(reflect.ValueOf(c).Elem(), raw, "")
	c.Resolve(c.Dir)
	return c, lines, a.faults
}

// parseTOML reads the text as TOML. The decoder panics on its own bugs; that a
// file has found one must not end a running master at HUP.
func parseTOML(text string) (raw map[string]any, fault *Fault) {
	defer func() {
		if r := recover(); r != nil {
			fault = &Fault{Text: fmt.Sprintf("cannot be read as TOML: %v", r)}
		}
	}()
	_, err := toml.Decode(text, &raw)
	var syntax toml.ParseError
	switch {
	case errors.As(err, &syntax):
		return nil, &Fault{Line: syntax.Position.Line, Text: syntax.Message}
	case err != nil:
		return nil, &Fault{Text: err.Error()}
	}
	return raw, nil
}

// readFile reads a regular file. O_NONBLOCK keeps a FIFO from blocking the open,
// O_NOCTTY a terminal from becoming ours.
func readFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return "", plainError(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", plainError(err)
	case info.IsDir():
		return "", errors.New("is a folder, not a file")
	case !info.Mode().IsRegular():
		return "", errNotRegular
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errors.New("is larger than 1 MiB: not a settings file")
	}
	return string(text), plainError(err)
}

var errNotRegular = errors.New("is not a regular file")

// plainError is err without the path, which every fault names already.
func plainError(err error) error {
	var in *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("no such file")
	case errors.Is(err, syscall.ENXIO): // a socket cannot be opened
		return errNotRegular
	case errors.As(err, &in):
		return fmt.Errorf("cannot be read: %w", in.Err)
	}
	return err
}
