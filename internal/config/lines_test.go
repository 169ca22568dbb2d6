package config

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestLinesOfKeys(t *testing.T) {
	t.Parallel()
	lines, err := scanLines(`# comment = 1
a = 1
b.c = """
x = 1 \""" ""quoted"" """""
'd e'."f\u0067" = '''
[no]
'''
list = [ # why
  "one",

  ["two"], { k = 1, l.m = 2 },
]
[t] # [u]
a = "]"
[t.sub]
x = 2
[[l]]
a = 1
[[l]]
a = { b = { c = 1 } }
[l.inner]
x = 1
[[l.deep]]
y = 1
[[l.deep]]
y = 2
[after]
`)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"a": 2, "b": 3, "b.c": 3, `"d e"`: 5, `"d e".fg`: 5,
		"list": 8, "list[0]": 9, "list[1]": 11, "list[1][0]": 11, "list[2].k": 11, "list[2].l.m": 11,
		"t": 13, "t.a": 14, "t.sub": 15, "t.sub.x": 16,
		"l": 17, "l[0]": 17, "l[0].a": 18, "l[1]": 19, "l[1].a": 20, "l[1].a.b.c": 20,
		"l[1].inner.x": 22, "l[1].deep[0].y": 24, "l[1].deep[1].y": 26, "after": 27,
		// not there: the nearest around it
		"t.none": 13, "t.sub.none[3].x": 15, "l[1].none": 19, "list[2].k.none": 11, "none": 0, "x": 0, "no": 0,
	} {
		if got := lines.find(path); got != want {
			t.Errorf("%s: line %d, want %d", path, got, want)
		}
	}
}

func TestLinesWithCarriageReturnsAndByteOrderMark(t *testing.T) {
	t.Parallel()
	lines, err := scanLines("\ufeffa = 1\r\n\r\nb = \"\"\"\\\r\n\"\"\"\r\nc = 3")
	if err != nil || lines["a"] != 1 || lines["b"] != 3 || lines["c"] != 5 {
		t.Errorf("%v, %v", lines, err)
	}
}

// FuzzLines: the scanner ends on any text, and of a text that is TOML it knows
// every key.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		"a = 1\n[b]\nc = [1, [2], {d = 3}]\n[[e]]\n[[e]]\nf.g = '''\n'''", "a = \"\"\"\"\"\"\"", "[a]\n[a.b]\n[[a.c]]\n[a.c.d]",
		"\"\" = 1", "'' = 1", "a = {\n b = 1, # c\n}", "[[a]]\nb = 1\n[[a.b]]", "\"a\\\"b\" = 1\n'c\\' = 2", "[ a . b ]\n c . d = 1", "a=", "[", "[[", "a=[", "a={", "\"", "'''", "\\", "a.", ".", "=", "\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := scanLines(text)
		var raw map[string]any
		if err != nil {
			return
		}
		if _, err := toml.Decode(text, &raw); err == nil && !strings.HasPrefix(text, "\xff\xfe") && !strings.HasPrefix(text, "\xfe\xff") {
			wantLines(t, lines, raw, "")
		}
	})
}

func wantLines(t *testing.T, lines lineTable, value any, path string) {
	if path != "" && lines[path] == 0 {
		t.Errorf("no line for %s in %v", path, lines)
	}
	if list, ok := tableList(value); ok {
		for i, item := range list {
			wantLines(t, lines, item, indexKey(path, i))
		}
	}
	if table, ok := value.(map[string]any); ok {
		for name, sub := range table {
			wantLines(t, lines, sub, joinKey(path, name))
		}
	}
}

// FuzzLoad: whatever a file holds, Load returns a Config that is valid or
// faults, and never panics.
func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(example), "", "workers = -9223372036854775808", "listen = [[], {}]", "listener = [{address = ':1'}]\napp.demo = true",
		"[app]\nenv = {\"\" = 1}", "umask = 0o777", "uid = 1e9", "[[app]]", "listener = {}", "[app]\ncommand = \"'\"", "[http]\nmax_header_bytes = \"99999999999GiB\"",
		"listen = \"unix:\"\napp.demo = true", "listen = \"[::1]:http\"", "a.b.c = 1\n[a.b]", "\"\\u0000\" = nan", "uid = \"\"",
	} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		c, lines, faults := decode(string(text), dir+"/unicorn.toml")
		if c == nil {
			if len(faults.locate("f", lines)) == 0 {
				t.Error("neither Config nor faults")
			}
			return
		}
		faults = append(faults, c.validate(faults)...).locate("f", lines)
		if strings.ContainsFunc(faults.Error(), func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
			t.Errorf("control characters in %q", faults.Error())
		}
		if len(faults) == 0 {
			roundTrip(t, c)
		}
	})
}

func roundTrip(t *testing.T, c *Config) {
	var first, second strings.Builder
	if err := c.WriteTOML(&first); err != nil {
		t.Fatal(err)
	}
	again, _, faults := decode(first.String(), c.File)
	if again == nil || len(faults) > 0 || len(again.Validate()) > 0 {
		t.Fatalf("does not load again: %v\n%s", faults, first.String())
	}
	if err := errors.Join(again.WriteTOML(&second)); err != nil || first.String() != second.String() {
		t.Errorf("changed:\n%s\n%s", first.String(), second.String())
	}
}
