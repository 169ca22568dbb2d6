package master

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLastWordsMoveNoCursor: they are shown on the terminal of whoever starts the
// master, perhaps root's, and workers wrote them.
func TestLastWordsMoveNoCursor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("one\n\x1b]0;owned\a\x1b[2Jtwo\r\xff\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, want := lastLines(f, 0), "one | ?]0;owned??[2Jtwo??"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	m := &master{children: map[int]*child{7: {pid: 7}}}
	e := event{said: isFailed}
	e.PID, e.Why = 7, "no\x1b[2J such\nfile"
	m.hear(e)
	if got := m.children[7].failed; got != "no?[2J such?file" {
		t.Errorf("a failed stage says %q", got)
	}
}
