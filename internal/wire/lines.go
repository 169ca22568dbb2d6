package wire

import "bytes"

// Lines cuts a byte stream into lines of at most MaxLine bytes. It never keeps
// more than one line: what is longer is skipped to its newline and counted, so
// that a worker that writes without end costs the master a fixed buffer.
type Lines struct {
	partial  []byte
	skipping bool
	TooLong  uint64 // lines dropped for their length
}

// Rest is what was read of a line that is not complete, and whether it is being
// skipped; ResumeLines goes on with it.
func (l *Lines) Rest() (partial []byte, skipping bool) { return l.partial, l.skipping }

// ResumeLines goes on where Rest says that another Lines has stopped.
func ResumeLines(partial []byte, skipping bool) Lines {
	return Lines{partial: bytes.Clone(partial), skipping: skipping}
}

// Feed takes the next piece of the stream and calls line for each line that is
// complete. The slice is valid during the call only.
func (l *Lines) Feed(piece []byte, line func([]byte)) {
	for len(piece) > 0 {
		end := bytes.IndexByte(piece, '\n')
		if end < 0 {
			l.keep(piece)
			return
		}
		l.finish(piece[:end], line)
		piece = piece[end+1:]
	}
}

func (l *Lines) keep(part []byte) {
	switch {
	case l.skipping:
	case len(l.partial)+len(part) > MaxLine:
		l.skip()
	default:
		l.partial = append(l.partial, part...)
	}
}

func (l *Lines) finish(rest []byte, line func([]byte)) {
	if !l.skipping && len(l.partial)+len(rest) > MaxLine {
		l.skip()
	}
	switch {
	case l.skipping:
		l.skipping = false
	case len(l.partial) == 0:
		line(rest)
	default:
		line(append(l.partial, rest...))
		l.partial = l.partial[:0]
	}
}

func (l *Lines) skip() {
	l.skipping, l.partial = true, nil // let go of the large buffer
	l.TooLong++
}
