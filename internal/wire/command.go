package wire

import (
	"encoding/json"
	"fmt"
)

// CommandType names a line of the command socket, master to worker.
type CommandType string

const (
	CommandDrain  CommandType = "drain"  // stop accepting, finish requests, leave
	CommandStop   CommandType = "stop"   // leave now
	CommandReopen CommandType = "reopen" // stdout and stderr come as two descriptors (SCM_RIGHTS); put them on 1 and 2
	CommandShare  CommandType = "share"  // descriptors of sockets that share an address, of Group; the worker helps to serve them
	CommandSeat   CommandType = "seat"   // a descriptor of memory that all workers share, and Seat, the worker's place in it (package sockets)
)

// Command is one line of the command socket.
type Command struct {
	Type CommandType `json:"type"`

	// Last in a drain says that nobody else will serve the queues of the
	// listeners: the worker serves them first.
	Last bool `json:"last,omitempty"`

	// Seat is a number from 1 on, of a seat.
	Seat int `json:"seat,omitempty"`

	// Group is the number by which later commands name the same address.
	Group uint64 `json:"group,omitempty"`
}

// ParseCommand reads one line, without its newline.
func ParseCommand(line []byte) (Command, error) {
	var c Command
	if err := json.Unmarshal(line, &c); err != nil {
		return Command{}, fmt.Errorf("command line: %w", err)
	}
	return c, nil
}

// Append adds c as one line, newline included, to buf.
func (c Command) Append(buf []byte) []byte {
	line, err := json.Marshal(c)
	if err != nil {
		panic("wire: a Command always encodes: " + err.Error())
	}
	return append(append(buf, line...), '\n')
}
