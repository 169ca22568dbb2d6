package config

import (
	"errors"
	"strings"

	"github.com/BurntSushi/toml"
)

// lineTable maps the path of each key of a file to the line it stands on. The
// TOML decoder does not tell positions, so that the text is scanned once more.
type lineTable map[string]int

// find returns the line of path or else of the nearest table or list around it.
func (t lineTable) find(path string) int {
	for path != "" {
		if line, ok := t[path]; ok {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// No key of ours is nested deeper than four. The bound protects the decoder,
// which recurses and copies paths: without it a file of brackets would exhaust
// its stack, and that cannot be recovered from.
const maxNesting = 32

var errNesting = errors.New("tables or lists are nested too deeply")

// scanLines finds the lines of all keys of a TOML text. Of a text that is not
// TOML it finds some; it always ends, because every round consumes a byte.
func scanLines(text string) (lineTable, error) {
	s := scanner{text: strings.TrimPrefix(text, "\ufeff"), line: 1, lines: lineTable{}, last: map[string]int{}}
	for s.skipBlank(); s.pos < len(s.text) && !s.tooDeep; s.skipBlank() {
		before := s.pos
		if s.peek() == '[' {
			s.header()
		} else {
			s.keyValue(s.table, 0)
		}
		if s.pos == before {
			s.pos++
		}
	}
	if s.tooDeep {
		return s.lines, errNesting
	}
	return s.lines, nil
}

type scanner struct {
	text    string
	pos     int
	line    int
	table   string // path of the table that keys belong to
	lines   lineTable
	last    map[string]int // index of the latest [[table]] of each path
	tooDeep bool
}

// header reads [a.b] or [[a.b]].
func (s *scanner) header() {
	line, array := s.line, strings.HasPrefix(s.text[s.pos:], "[[")
	s.pos++
	if array {
		s.pos++
	}
	s.table = ""
	names := s.key()
	for i, name := range names {
		path := joinKey(s.table, name)
		s.note(path, line)
		if array && i == len(names)-1 {
			s.last[path] = s.nextIndex(path)
		}
		if n, ok := s.last[path]; ok {
			path = indexKey(path, n)
			s.note(path, line)
		}
		s.table = path
	}
	s.skipTo("\n")
}

func (s *scanner) nextIndex(path string) int {
	if n, ok := s.last[path]; ok {
		return n + 1
	}
	return 0
}

// keyValue reads a.b = value.
func (s *scanner) keyValue(at string, depth int) {
	line := s.line
	for _, name := range s.key() {
		at = joinKey(at, name)
		s.note(at, line)
	}
	s.skipSpace()
	if s.peek() == '=' {
		s.pos++
		s.skipSpace()
		s.value(at, depth)
	}
}

// note keeps the first line of a path: that is where a table begins.
func (s *scanner) note(path string, line int) {
	if _, ok := s.lines[path]; !ok {
		s.lines[path] = line
	}
}

// value reads whatever stands right of an equals sign or in a list.
func (s *scanner) value(path string, depth int) {
	if depth > maxNesting {
		s.tooDeep = true
		return
	}
	switch s.peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		s.sequence(']', func(i int) {
			s.note(indexKey(path, i), s.line)
			s.value(indexKey(path, i), depth+1)
		})
	case '{':
		s.sequence('}', func(int) { s.keyValue(path, depth+1) })
	default:
		s.skipTo(",]}#\n")
	}
}

// sequence reads the items of a list or an inline table up to its end.
func (s *scanner) sequence(end byte, item func(i int)) {
	s.pos++
	for i := 0; !s.tooDeep; i++ {
		s.skipBlank()
		if c := s.peek(); c == end || c == 0 {
			s.pos = min(s.pos+1, len(s.text))
			return
		}
		before := s.pos
		item(i)
		s.skipBlank()
		if s.peek() == ',' {
			s.pos++
		}
		if s.pos == before {
			return // not TOML; the decoder says so
		}
	}
}

// key reads the names of a dotted key, bare or quoted.
func (s *scanner) key() (names []string) {
	for {
		s.skipSpace()
		names = append(names, s.keyName())
		s.skipSpace()
		if s.peek() != '.' {
			return names
		}
		s.pos++
		if len(names) >= maxNesting {
			s.tooDeep = true
			return names
		}
	}
}

func (s *scanner) keyName() string {
	start := s.pos
	if c := s.peek(); c == '"' || c == '\'' {
		s.quoted()
		return unquote(s.text[start:s.pos])
	}
	for s.pos < len(s.text) && isBareRune(rune(s.text[s.pos])) {
		s.pos++
	}
	return s.text[start:s.pos]
}

// unquote asks the decoder what a quoted key means, so that both agree.
func unquote(quoted string) string {
	if quoted == `""` || quoted == `''` {
		return ""
	}
	var v struct{ K string }
	if _, err := toml.Decode("K = "+quoted, &v); err != nil {
		return quoted
	}
	return v.K
}

// quoted reads a string of any of the four kinds.
func (s *scanner) quoted() {
	quote := s.text[s.pos : s.pos+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s.text[s.pos:], triple) {
		s.pos += 3
		s.untilQuote(triple)
		for range 2 { // a multi-line string may end with up to two quotes of its own
			if s.peek() == quote[0] {
				s.pos++
			}
		}
		return
	}
	s.pos++
	s.untilQuote(quote)
}

// untilQuote moves behind the end of a string; one of a single line ends with
// its line at the latest.
func (s *scanner) untilQuote(end string) {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case strings.HasPrefix(s.text[s.pos:], end):
			s.pos += len(end)
			return
		case c == '\n' && len(end) == 1:
			return
		case c == '\n':
			s.line++
		case c == '\\' && end[0] == '"' && s.pos+1 < len(s.text) && s.text[s.pos+1] != '\n':
			s.pos++
		}
		s.pos++
	}
}

// peek is the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos >= len(s.text) {
		return 0
	}
	return s.text[s.pos]
}

func (s *scanner) skipSpace() {
	for c := s.peek(); c == ' ' || c == '\t'; c = s.peek() {
		s.pos++
	}
}

// skipBlank moves over white space, ends of line and comments.
func (s *scanner) skipBlank() {
	for {
		switch s.peek() {
		case '\n':
			s.line++
			s.pos++
		case ' ', '\t', '\r':
			s.pos++
		case '#':
			s.skipTo("\n")
		default:
			return
		}
	}
}

// skipTo moves to the next of the stop bytes, or to the end.
func (s *scanner) skipTo(stops string) {
	if i := strings.IndexAny(s.text[s.pos:], stops); i >= 0 {
		s.pos += i
	} else {
		s.pos = len(s.text)
	}
}
