package config

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Each line is split by sh too, where there is one: it is the judge.
func TestWordsAreThoseOfAShell(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		``:                            nil,
		"  \t\n ":                     nil,
		`./app -x`:                    {"./app", "-x"},
		`  a   b  `:                   {"a", "b"},
		`'a b' "c d"`:                 {"a b", "c d"},
		`a\ b`:                        {"a b"},
		`"" ''`:                       {"", ""},
		`a"b"'c'd`:                    {"abcd"},
		`"a\"b\\c\d"`:                 {`a"b\c\d`},
		`'a\b"'`:                      {`a\b"`},
		`"it's"`:                      {"it's"},
		`\'`:                          {"'"},
		"a \\\nb":                     {"a", "b"},
		"\"a\\\nb\"":                  {"ab"},
		`sh -c 'a; b | c > d'`:        {"sh", "-c", "a; b | c > d"},
		`a \| b`:                      {"a", "|", "b"},
		`--url="http://x/?a=1&b=2"`:   {"--url=http://x/?a=1&b=2"},
		`node server.js --port=80 ü`:  {"node", "server.js", "--port=80", "ü"},
		`"\$HOME" '$HOME' \$HOME a=b`: {"$HOME", "$HOME", "$HOME", "a=b"},
	} {
		got, err := splitWords(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
		if judged, ok := shellWords(line); ok && !slices.Equal(judged, want) {
			t.Errorf("%q: sh says %q", line, judged)
		}
	}
}

// shellWords has sh split a line.
func shellWords(line string) ([]string, bool) {
	out, err := exec.Command("sh", "-c", `set -f; for w in `+strings.ReplaceAll(strings.TrimSpace(line), "\n ", " ")+`; do printf '%s\0' "$w"; done`).Output()
	if err != nil || len(out) == 0 {
		return nil, err == nil
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), true
}

func TestNothingIsExpanded(t *testing.T) {
	t.Parallel()
	got, err := splitWords("a $HOME ~ * ${X} `b` #c")
	if want := []string{"a", "$HOME", "~", "*", "${X}", "`b`", "#c"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLinesThatCannotBeSplit(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`a 'b`:      "single quote",
		`a "b`:      "double quote",
		`a "b\"`:    "double quote",
		`a \`:       "backslash",
		`a | b`:     "no shell is run",
		`a && b`:    "no shell is run",
		`a; b`:      "no shell is run",
		`a > b`:     "no shell is run",
		`a $(b)`:    "no shell is run",
		"a\x00b":    "NUL",
		"'a\x00b' ": "NUL",
	} {
		if got, err := splitWords(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
}

// FuzzWords: what is quoted comes back as it was.
func FuzzWords(f *testing.F) {
	f.Add("a b", "'")
	f.Add("", "\\\n\"$")
	f.Fuzz(func(t *testing.T, a, b string) {
		_, _ = splitWords(a)
		if strings.Contains(a+b, "\x00") {
			return
		}
		quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
		got, err := splitWords(quoted(a) + " " + quoted(b))
		if err != nil || !slices.Equal(got, []string{a, b}) {
			t.Errorf("%q, %q: %q, %v", a, b, got, err)
		}
	})
}
