// Package logpipe is the log process: a small child of the master that reads a
// pipe which workers write to and appends it to the log file. Foreign apps need
// it, because they cannot be told to write somewhere else when logs are
// rotated, and no line of theirs may pass through the master.
//
// It owns its descriptors: 0 the pipe, 1 the file, 3 the command socket from the
// master. It never fails for want of disk: what cannot be written is dropped
// and counted. It ends when the last writer has closed the pipe.
package logpipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// Env marks the log process; its value is the largest the file may grow, "0"
// for no limit.
const Env = "FUGUE_LOGPIPE"

// CommandFD is the descriptor of the command socket.
const CommandFD = 3

// RingBytes is where a destination that nobody rotates (a memfd, when a daemon
// has no log file) starts over.
const RingBytes = 64 << 10

const warnEvery = time.Minute

// Enter runs the log process and exits, if this process is one.
func Enter() {
	kind := os.Getenv(Env)
	if kind == "" {
		return
	}
	// Ctrl-C and the like are for the master; this process ends when all is read.
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2)
	s := &sink{fd: 1, ring: kind == "ring", warn: os.Stderr}
	pieces, files := make(chan []byte), make(chan int)
	go readPipe(os.Stdin, pieces)
	go readCommands(CommandFD, files)
	s.run(pieces, files)
	os.Exit(0)
}

// readPipe forwards what comes, until every writer is gone; then it closes out.
func readPipe(r io.Reader, out chan<- []byte) {
	defer close(out)
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			out <- bytes.Clone(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// readCommands forwards the descriptor of each reopen; it ends with the socket.
func readCommands(fd int, files chan<- int) {
	line, oob := make([]byte, 512), make([]byte, unix.CmsgSpace(4*8))
	for {
		n, oobn, _, _, err := unix.Recvmsg(fd, line, oob, receiveFlags)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return // the master is gone; what workers still write is written
		}
		if got := descriptor(oob[:oobn]); got >= 0 {
			files <- got
		}
	}
}

// descriptor returns the first descriptor of a control message and closes the rest.
func descriptor(oob []byte) int {
	first := -1
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return first
	}
	for _, m := range msgs {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			if first < 0 {
				first = fd
				continue
			}
			_ = unix.Close(fd)
		}
	}
	return first
}

// sink writes lines to the file it has at the moment.
type sink struct {
	fd     int
	ring   bool
	midway bool // the last byte written was not the end of a line
	next   int  // the file to change to at the end of the line, 0 for none
	lost   uint64
	warned time.Time
	warn   io.Writer
}

func (s *sink) run(pieces <-chan []byte, files <-chan int) {
	for {
		select {
		case fd := <-files:
			s.change(fd)
		case piece, open := <-pieces:
			if !open {
				return
			}
			s.take(piece)
		}
	}
}

// change switches to another file, at the end of the line if one is half written.
func (s *sink) change(fd int) {
	if s.next != 0 {
		_ = unix.Close(s.next)
	}
	s.next = fd
	if !s.midway {
		s.switchNow()
	}
}

func (s *sink) switchNow() {
	if s.next == 0 {
		return
	}
	_ = unix.Close(s.fd)
	s.fd, s.next = s.next, 0
}

func (s *sink) take(piece []byte) {
	if s.next != 0 { // the rest of the line belongs to the old file
		end := bytes.IndexByte(piece, '\n') + 1
		if end == 0 {
			s.write(piece)
			return
		}
		s.write(piece[:end])
		s.switchNow()
		piece = piece[end:]
	}
	s.write(piece)
}

func (s *sink) write(piece []byte) {
	if len(piece) == 0 {
		return
	}
	s.midway = piece[len(piece)-1] != '\n'
	for len(piece) > 0 {
		n, err := unix.Write(s.fd, piece)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			s.dropped(piece, err)
			return
		}
		piece = piece[n:]
	}
	if s.ring {
		s.startOver()
	}
}

// dropped notes what could not be written: a full disk, a FIFO nobody reads.
func (s *sink) dropped(piece []byte, err error) {
	s.lost += uint64(bytes.Count(piece, []byte{'\n'}))
	if now := time.Now(); now.Sub(s.warned) >= warnEvery {
		s.warned = now
		fmt.Fprintf(s.warn, "fugue: log_file: %v; %d lines lost so far\n", err, s.lost)
	}
}

func (s *sink) startOver() {
	var st unix.Stat_t
	if unix.Fstat(s.fd, &st) == nil && st.Size > RingBytes {
		_ = unix.Ftruncate(s.fd, 0)
	}
}
