package config

import (
	"path/filepath"
	"reflect"
	"strings"
)

// Resolve makes every relative path absolute, from dir. Load does it from the
// folder of the file; a caller that sets paths afterwards, from flags, does it
// from the folder that these are meant from.
func (c *Config) Resolve(dir string) {
	for _, s := range everySetting(reflect.ValueOf(c).Elem(), "") {
		if s.tag("kind") == "path" {
			s.value.SetString(absolute(dir, s.value.String()))
		}
	}
	for i := range c.Listen {
		c.Listen[i] = absoluteSocket(dir, c.Listen[i])
	}
	for i := range c.Listeners {
		c.Listeners[i].Address = absoluteSocket(dir, c.Listeners[i].Address)
	}
	// A name without a slash is looked up in PATH.
	if cmd := c.App.Command; len(cmd) > 0 && strings.Contains(cmd[0], "/") {
		cmd[0] = absolute(dir, cmd[0])
	}
}

// absolute does not clean the path: current/../shared is another place once
// current is a symbolic link, and a deploy may re-point it at any time.
func absolute(dir, path string) string {
	switch {
	case path == "" || filepath.IsAbs(path) || dir == "":
		return path
	case path == "." || path == "./":
		return dir
	}
	return strings.TrimSuffix(dir, "/") + "/" + strings.TrimPrefix(path, "./")
}

func absoluteSocket(dir, addr string) string {
	if path, isFile := socketFile(addr); isFile {
		return "unix:" + absolute(dir, path)
	}
	return addr
}
