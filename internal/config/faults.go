package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	File string // as the user named it; "" without a file
	Line int    // 0 if not known
	Key  string // "workers", "app.command"; "" if the file as a whole is meant
	Text string
}

// String is the fault on one line: "unicorn.toml:12: wokers: unknown key; …".
func (f Fault) String() string {
	var parts []string
	switch {
	case f.File != "" && f.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d", f.File, f.Line))
	case f.File != "":
		parts = append(parts, f.File)
	}
	if f.Key != "" {
		parts = append(parts, f.Key)
	}
	return strings.Join(append(parts, f.Text), ": ")
}

// Faults are all that is wrong, in the order of the file.
type Faults []Fault

// Error is one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil if there is no fault, fs otherwise.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// maxFaults is more than anyone mends in one go. It bounds the time that a file
// takes which was never meant for us.
const maxFaults = 100

func (fs Faults) full() bool { return len(fs) >= maxFaults }

// add notes a fault; path may have indices until locate or plain drops them.
func (fs *Faults) add(path, format string, args ...any) {
	if fs.full() {
		return
	}
	*fs = append(*fs, Fault{Key: path, Text: fmt.Sprintf(format, args...)})
}

// locate names the file in each fault and finds the line of each key.
func (fs Faults) locate(file string, lines lineTable) Faults {
	for i := range fs {
		fs[i].File = file
		if fs[i].Line == 0 {
			fs[i].Line = lines.find(fs[i].Key)
		}
	}
	slices.SortStableFunc(fs, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return fs.plain()
}

// plain drops the indices from the keys, and what is then said twice.
func (fs Faults) plain() Faults {
	for i := range fs {
		fs[i].Key = plainKey(fs[i].Key)
	}
	return slices.Compact(fs)
}
