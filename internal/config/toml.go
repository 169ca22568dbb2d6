package config

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// WriteTOML writes the effective settings, all keys. Read again they give the
// same Config. A key that is not set has no value that would do the same, and
// stands as a comment, with what is used instead.
func (c *Config) WriteTOML(w io.Writer) error {
	var b strings.Builder
	keys, tables := split(reflect.ValueOf(c).Elem(), "")
	c.writeKeys(&b, keys)
	c.writeTables(&b, tables)
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Config) writeTables(b *strings.Builder, tables []setting) {
	for _, t := range tables {
		if isTable(t.field.Type) {
			c.writeTable(b, t, t.value)
			continue
		}
		for i := range t.value.Len() {
			c.writeTable(b, t, t.value.Index(i))
		}
	}
}

func (c *Config) writeTable(b *strings.Builder, t setting, table reflect.Value) {
	fmt.Fprintf(b, "\n%s\n", t.header())
	keys, within := split(table, t.path)
	c.writeKeys(b, keys)
	c.writeTables(b, within)
}

func (c *Config) writeKeys(b *strings.Builder, keys []setting) {
	for _, s := range keys {
		switch {
		case isSet(s):
			fmt.Fprintf(b, "%s = %s\n", s.name(), s.literal())
		case c.instead(s) != "":
			fmt.Fprintf(b, "# %s is not set: %s\n", s.name(), c.instead(s))
		default:
			fmt.Fprintf(b, "# %s is not set\n", s.name())
		}
	}
}

// isSet reports whether a key has a value that can be written in the file.
func isSet(s setting) bool {
	switch s.field.Type {
	case modeType:
		return s.value.FieldByName("Set").Bool()
	case stringType, maybeType:
		return !s.value.IsZero()
	}
	return s.name() != "command" || s.value.Len() > 0
}

// instead is what is used for a key that is not set.
func (c *Config) instead(s setting) string {
	switch s.name() {
	case "working_path":
		return quote(c.WorkDir())
	case "control_path":
		return quote(c.Control())
	case "no_new_privs":
		return fmt.Sprint(c.NoNewPrivileges())
	case "mode":
		return literal(s.value)
	}
	return ""
}

// literal is the value as TOML; a single address needs no list.
func (s setting) literal() string {
	if list, ok := s.value.Interface().([]string); ok && len(list) == 1 && s.tag("kind") == "address" {
		return quote(list[0])
	}
	return literal(s.value)
}

// literal is a value as TOML.
func literal(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return quote(durationText(x))
	case Size:
		return quote(x.String())
	case Mode:
		return quote(fmt.Sprintf("%04o", x.Bits))
	case *bool:
		return fmt.Sprint(*x)
	case string:
		return quote(x)
	case []string:
		return listLiteral(x)
	case map[string]string:
		return envLiteral(x)
	}
	return fmt.Sprint(v)
}

func listLiteral(list []string) string {
	quoted := make([]string, len(list))
	for i, item := range list {
		quoted[i] = quote(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func envLiteral(env map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		key := name
		if !isBare(name) {
			key = quote(name)
		}
		pairs = append(pairs, key+" = "+quote(env[name]))
	}
	if len(pairs) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(pairs, ", ") + " }"
}

// durationText drops the zeros of time.Duration's own: "1h0m0s" is "1h".
func durationText(d time.Duration) string {
	text := d.String()
	if d >= time.Minute && d < time.Hour && d%time.Second == 0 {
		return fmt.Sprintf("%ds", int64(d/time.Second)) // 60s and 75s, as people say
	}
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

// quote writes a TOML string: control characters as \u, so that whatever a
// setting holds stays on its line.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
