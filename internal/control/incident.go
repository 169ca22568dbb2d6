package control

import (
	"strconv"
	"strings"
	"time"
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
	ans, err := s.ask(a, reply, loopLimit)
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
