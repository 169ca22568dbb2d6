package main

import (
	"bytes"
	"strconv"
)

// answer is as much of a response as has come.
type answer struct {
	head   []byte
	left   int // of the body; -1 = its length is not known: until the connection ends
	inBody bool
	status int
	closes bool
	body   []byte // the begin of it
}

// longestWho is the longest body that says who has answered.
const longestWho = 64

// feed takes the next piece and says whether the answer is complete.
func (a *answer) feed(b []byte) bool {
	if !a.inBody {
		a.head = append(a.head, b...)
		end := bytes.Index(a.head, []byte("\r\n\r\n"))
		if end < 0 {
			return false
		}
		a.parse(a.head[:end])
		b = a.head[end+4:]
		a.inBody = true
	}
	if a.left <= longestWho && len(b) > 0 && len(a.body) < longestWho {
		a.body = append(a.body, b...)
	}
	a.left -= len(b)
	return a.left <= 0
}

// parse looks for what is needed of the head. A chunked answer is not expected:
// every server of the benchmark knows its length.
func (a *answer) parse(head []byte) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if f := bytes.Fields(line); len(f) > 1 {
		a.status, _ = strconv.Atoi(string(f[1]))
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			a.left, _ = strconv.Atoi(string(value))
		case bytes.EqualFold(name, []byte("Connection")):
			a.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
}
