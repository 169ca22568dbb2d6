package control

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// Incident is one entry of GET /incidents: a request that exceeded its timeout,
// or a worker that was killed or crashed. The names are relied on by scripts.
type Incident struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // timeout, silent, crash, boot
	At      time.Time `json:"at"`
	Worker  int       `json:"worker"`
	PID     int       `json:"pid"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Remote  string    `json:"remote"`
	AgeMS   int64     `json:"age_ms"`
	Status  int       `json:"status"`  // what the client was answered; 0 = nothing
	Outcome string    `json:"outcome"` // open, recovered, killed
	Stack   string    `json:"stack"`
	Reason  string    `json:"reason,omitempty"` // of a worker's end
}

// incidents are the last ones, newest first.
func (s *Server) incidents(_ request) (any, error) {
	a, reply := NewAsk(AskIncidents)
	ans, err := s.ask(a, reply, s.limit)
	if err != nil {
		return nil, err
	}
	if ans.Incidents == nil {
		return []Incident{}, nil
	}
	return ans.Incidents, nil
}

// Incidents returns the last incidents, newest first.
func (c *Client) Incidents() (list []Incident, err error) {
	return list, c.call("GET", "/incidents", nil, &list)
}

// Printable replaces what could move a terminal's cursor or break a line, in
// texts that clients and workers wrote.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(text, "?"))
}

// PrintableJSON does the same to valid JSON, by escapes: what it says stays. The
// encoder escapes ESC, but not the other character that begins a sequence for
// the terminal (U+009B), nor those that turn the direction of text.
func PrintableJSON(text []byte) []byte {
	plain := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r == '\n' || r == '\t' || strconv.IsPrint(r): // the two stand between values only
			plain = append(plain, string(r)...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			plain = fmt.Appendf(plain, `\u%04x\u%04x`, high, low)
		default:
			plain = fmt.Appendf(plain, `\u%04x`, r)
		}
	}
	return plain
}
