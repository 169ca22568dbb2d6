package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Type names a line of the pipe. A type that is not listed here is ignored by
// the master, so that newer workers can talk to older masters.
type Type string

const (
	Begun     Type = "begun"     // the first stage becomes the app now
	Hello     Type = "hello"     // "I speak this protocol: wait for my ready", sent when the worker package loads
	Ready     Type = "ready"     // the worker accepts connections
	Beat      Type = "beat"      // the process is alive; carries counters
	Overdue   Type = "overdue"   // a request has exceeded its limit: ID and the fields of an incident
	Recovered Type = "recovered" // the handler of ID has returned after all
	Draining  Type = "draining"  // the worker stopped accepting of its own accord (a signal sent to it)
	Reopen    Type = "reopen"    // the worker asks for freshly opened logs (it got USR1 itself)
	Failed    Type = "failed"    // the first stage could not start the app; Reason says why
)

// Message is one line of the heartbeat pipe, worker to master. Everything in it
// is a claim of the worker: the master takes the worker's identity from the
// pipe it came through, never from the text.
type Message struct {
	Type Type `json:"type"`

	// Commands in a ready says that the worker reads its command socket, so that
	// drain, stop and reopen reach it there; others get signals.
	Commands bool `json:"commands,omitempty"`

	// Shares in a ready says that it also takes the sockets of others, and serves them.
	Shares bool `json:"shares,omitempty"`

	// A beat's state and counters since the start of the process.
	InFlight    int64  `json:"in_flight,omitempty"`    // requests being handled
	OldestMS    int64  `json:"oldest_ms,omitempty"`    // age of the oldest of them, milliseconds
	Connections int64  `json:"connections,omitempty"`  // connections held
	Requests    uint64 `json:"requests,omitempty"`     // requests answered since the start
	Stuck       int64  `json:"stuck,omitempty"`        // requests that were overdue and whose handlers run on
	TimedOut    uint64 `json:"timed_out,omitempty"`    // requests that exceeded their limit
	SlowClients uint64 `json:"slow_clients,omitempty"` // connections closed because the client made no progress

	// An incident. ID is unique in its worker; the rest is for people.
	ID     string `json:"id,omitempty"`
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	Remote string `json:"remote,omitempty"`
	AgeMS  int64  `json:"age_ms,omitempty"`
	Status int    `json:"status,omitempty"` // what the client was answered; 0 = nothing
	Stack  string `json:"stack,omitempty"`

	// Reason of a failed start.
	Reason string `json:"reason,omitempty"`
}

// MaxLine bounds one line of the pipe, in bytes. An overdue message with its
// stack fits with room to spare; a longer line is skipped to its end.
const MaxLine = 256 << 10

var errNoType = errors.New("no \"type\"")

// Parse reads one line, without its newline. Numbers that no honest worker
// sends (negative counts) are an error, like text that is no JSON object.
func Parse(line []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(line, &m); err != nil {
		return Message{}, fmt.Errorf("pipe line: %w", err)
	}
	if m.Type == "" {
		return Message{}, fmt.Errorf("pipe line: %w", errNoType)
	}
	if m.InFlight < 0 || m.OldestMS < 0 || m.Connections < 0 || m.Stuck < 0 || m.AgeMS < 0 {
		return Message{}, fmt.Errorf("pipe line: negative count in %q", m.Type)
	}
	if (m.Type == Overdue || m.Type == Recovered) && m.ID == "" {
		return Message{}, fmt.Errorf("pipe line: no \"id\" in %q", m.Type)
	}
	m.clip()
	return m, nil
}

// Longest texts of an incident that are kept, in bytes.
const (
	maxID    = 64
	maxWord  = 256
	maxPath  = 2 << 10
	MaxStack = 32 << 10
)

// clip bounds what an incident can make the master remember.
func (m *Message) clip() {
	m.ID, m.Method, m.Remote = clip(m.ID, maxID), clip(m.Method, maxWord), clip(m.Remote, maxWord)
	m.Path, m.Stack, m.Reason = clip(m.Path, maxPath), clip(m.Stack, MaxStack), clip(m.Reason, maxPath)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// Append adds m as one line, newline included, to buf.
func (m Message) Append(buf []byte) []byte {
	line, err := json.Marshal(m)
	if err != nil {
		panic("wire: a Message always encodes: " + err.Error()) // strings and numbers only
	}
	return append(append(buf, line...), '\n')
}
