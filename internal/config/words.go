package config

import (
	"errors"
	"fmt"
	"strings"
)

// splitWords splits a command line as sh(1) does: white space separates words,
// '…' keeps all, "…" all but backslashes before $ ` " \ and end of line.
// Nothing is expanded. What only a shell could do, pipes and the like, is
// refused, because passing it on as an argument is never what was meant.
func splitWords(line string) ([]string, error) {
	s := splitter{rest: line}
	for s.rest != "" && s.err == nil {
		s.step()
	}
	s.endWord()
	if s.err == nil {
		s.err = noNUL(line)
	}
	if s.err != nil {
		return nil, s.err
	}
	return s.words, nil
}

type splitter struct {
	rest   string
	word   strings.Builder
	inWord bool // also in the empty word ''
	words  []string
	err    error
}

func (s *splitter) step() {
	c := s.rest[0]
	s.rest = s.rest[1:]
	switch c {
	case ' ', '\t', '\n', '\r':
		s.endWord()
	case '\'':
		s.single()
	case '"':
		s.double()
	case '\\':
		s.escape()
	case '|', '&', ';', '<', '>', '(', ')':
		s.err = fmt.Errorf("no shell is run: put quotes around %q, or write [\"sh\", \"-c\", \"…\"]", c)
	default:
		s.add(c)
	}
}

func (s *splitter) add(c byte) {
	s.inWord = true
	s.word.WriteByte(c)
}

func (s *splitter) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

func (s *splitter) single() {
	text, rest, closed := strings.Cut(s.rest, "'")
	if !closed {
		s.err = errors.New("a single quote is not closed")
	}
	s.inWord = true
	s.word.WriteString(text)
	s.rest = rest
}

func (s *splitter) double() {
	s.inWord = true
	for s.rest != "" {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch {
		case c == '"':
			return
		case c == '\\' && s.rest != "" && strings.IndexByte("$`\"\\\n", s.rest[0]) >= 0:
			s.escape()
		default:
			s.add(c)
		}
	}
	s.err = errors.New("a double quote is not closed")
}

// escape takes the byte after a backslash as it is; a line that ends in one
// goes on.
func (s *splitter) escape() {
	if s.rest == "" {
		s.err = errors.New("ends in a backslash")
		return
	}
	if s.rest[0] != '\n' {
		s.add(s.rest[0])
	}
	s.rest = s.rest[1:]
}
