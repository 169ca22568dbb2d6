package sockets

import "testing"

// S17: under any umask the file is never open to others, not even between bind
// and chmod.
func TestTheFileIsBornNarrow(t *testing.T) {
	t.Parallel()
	out, err := as("bind " + socketPath(t)).Output()
	if err != nil || string(out) != "-rw-------\n" {
		t.Errorf("born as %q, %v, want -rw-------", out, err)
	}
}
