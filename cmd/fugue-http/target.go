package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"

	"github.com/fugue-http/fugue/internal/config"
)

// target finds the master by the file and the flags it was started with. With -s
// the file may be broken or missing.
func (c *command) target() (*config.Config, error) {
	cfg, err := c.load()
	var faults config.Faults
	switch {
	case err == nil:
		return cfg, nil
	case c.control != "":
		cfg = config.Default()
		cfg.ControlPath, err = filepath.Abs(c.control)
		return cfg, err
	case errors.As(err, &faults):
		return nil, append(faults, config.Fault{File: c.config, Text: "name the control socket with -s to do without the file"})
	}
	return nil, err
}

// despite is what can be known of a file with faults: the keys that have none,
// or, if it is no TOML at all, where it lies and what two of its lines say.
func (c *command) despite() *config.Config {
	var read *config.Config
	_, _ = config.Load(c.config, c.override, func(cfg *config.Config) { read = cfg })
	if read == nil {
		read = config.Default()
		read.File = absolute(c.config)
		read.Dir = filepath.Dir(read.File)
		socketLines(c.config, read)
		read.Resolve(read.Dir)
		c.override(read)
	}
	return read
}

func absolute(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return abs
}

// socketLine is a key of the path of the control socket, with a plain string.
var socketLine = regexp.MustCompile(`(?m)^[ \t]*(control_path|tmp_path)[ \t]*=[ \t]*["']([^"'\\\n]+)["'][ \t\r]*(?:#.*)?$`)

const maxSettings = 1 << 20 // as config.Load has it

func socketLines(path string, cfg *config.Config) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSettings {
		return // a FIFO would have us wait, a disk image for long
	}
	text, _ := os.ReadFile(path)
	for _, line := range socketLine.FindAllSubmatch(text, -1) {
		switch value := string(line[2]); string(line[1]) {
		case "control_path":
			cfg.ControlPath = value
		case "tmp_path":
			cfg.TmpPath = value
		}
	}
}
