package master

import (
	"io"
	"log/slog"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWhoStartsDuringARotationGetsTheNewFile: a worker of the binary itself writes
// into the file directly, from its start on, and reads no command before it is ready.
func TestWhoStartsDuringARotationGetsTheNewFile(t *testing.T) {
	t.Parallel()
	fd, _, err := openLog(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for name, c := range map[string]struct {
		out  output
		want bool
	}{
		"file":      {output{file: fd}, true},
		"inherited": {output{file: -1, stdout: 1, stderr: 2}, false},
		"piped":     {output{file: fd, piped: true}, true},
		"fifo":      {output{file: fd, piped: true, fifo: true}, false},
		"hidden":    {output{file: -1, stdout: 1, stderr: 2, piped: true}, true},
	} {
		ours, theirs, err := socketpair()
		if err != nil {
			t.Fatal(err)
		}
		m := &master{output: &c.out, boardless: true, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		m.graduate(&child{command: ours}, true, true)
		oob := make([]byte, 64)
		_, n, _, _, _ := unix.Recvmsg(theirs, make([]byte, 64), oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if got := n > 0; got != c.want {
			t.Errorf("%s: it is handed files: %v, want %v", name, got, c.want)
		}
		_ = unix.Close(ours)
		_ = unix.Close(theirs)
	}
}
