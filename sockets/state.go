package sockets

import (
	"fmt"
	"slices"
)

// State is all that is known of a [Listener], to be written down before the
// process executes another program in its place; [Restore] reads it there.
type State struct {
	FD      int    `json:"fd"` // has to be without close-on-exec when the other program is executed
	Network string `json:"network"`
	Address string `json:"address"`
	Name    string `json:"name"`
	Backlog int    `json:"backlog"`
	Adopted bool   `json:"adopted"`

	// The unix socket's file that this process made: only this one is ever
	// removed. The socket holds the inode across the exec.
	Path string `json:"path,omitempty"`
	Dev  uint64 `json:"dev,omitempty"`
	Ino  uint64 `json:"ino,omitempty"`

	// Of a group: its descriptors beside FD.
	Grouped bool  `json:"grouped,omitempty"`
	More    []int `json:"more,omitempty"`
}

// State returns what [Restore] makes l of again. It changes nothing; after Close
// its FD is -1.
func (l *Listener) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{
		FD: l.fd, Network: l.network, Address: l.address, Name: l.name, Backlog: l.backlog, Adopted: l.adopted,
		Path: l.path, Dev: l.made.dev, Ino: l.made.ino, Grouped: l.grouped, More: slices.Clone(l.more),
	}
}

// Restore takes over the descriptor s.FD, which has survived an exec in place,
// sets close-on-exec and O_NONBLOCK, and returns the listener as it was before.
// If that descriptor is not a socket that listens on s.Address it is left alone,
// as it is somebody else's.
func Restore(s State) (*Listener, error) {
	l, err := s.find()
	if err == nil {
		err = l.secure()
	}
	if err != nil {
		return nil, fmt.Errorf("restore the listener on %s: descriptor %d %w", s.Address, s.FD, err)
	}
	if err := l.restoreGroup(s); err != nil {
		return nil, fmt.Errorf("restore the listener on %s: %w", s.Address, err)
	}
	l.name, l.backlog, l.adopted = s.Name, s.Backlog, s.Adopted
	l.path, l.made = s.Path, inode{s.Dev, s.Ino}
	return l, nil
}

// find returns a listener for what descriptor s.FD is, if that is what s says.
func (s State) find() (*Listener, error) {
	l, err := identify(s.FD)
	switch {
	case err != nil:
		return nil, err
	case l.network != s.Network || l.address != s.Address:
		return nil, fmt.Errorf("listens on %s (%s)", l.address, l.network)
	case s.Path != "" && l.address != "unix:"+s.Path:
		return nil, fmt.Errorf("is not the socket at %s", s.Path)
	}
	return l, nil
}
