package handover

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Env names the descriptor of the Note.
const Env = "FUGUE_HANDOVER"

// Format is the version of Note and State. A later version of this program must
// read those of the version before it.
const Format = 1

// maxNote is far more than a thousand workers and a hundred incidents take.
const maxNote = 64 << 20

// Note is what one image leaves for the next.
type Note struct {
	Format  int    `json:"format"`
	Version string `json:"version"` // of the image that wrote it
	PID     int    `json:"pid"`     // the process that it is for; another one is a child that inherited it
	Image   int    `json:"image"`   // descriptor of the binary that wrote it
	FDs     []int  `json:"fds"`     // all other descriptors that go with it
	Dir     string `json:"dir"`     // where the program was started first: relative paths of arguments start there

	// Reply, in a trial, is the descriptor that Answer writes to.
	Reply int `json:"reply,omitempty"`

	// Failed is set in a Note that comes back: why the other image gave up.
	Failed string `json:"failed,omitempty"`

	// Last, if not nil, is called at the last moment. It returns the signals that were
	// caught and not obeyed, for the next image; its error keeps Exec from it.
	Last func() ([]os.Signal, error) `json:"-"`

	State json.RawMessage `json:"state"` // of package master
}

// Write returns a descriptor that n can be read from, close-on-exec.
func (n Note) Write() (int, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return -1, err
	}
	fd, err := memory()
	if err != nil {
		return -1, err
	}
	for rest := text; len(rest) > 0; {
		w, err := unix.Write(fd, rest)
		if err != nil {
			_ = unix.Close(fd)
			return -1, fmt.Errorf("write the handover: %w", err)
		}
		rest = rest[w:]
	}
	return fd, nil
}

// read takes the Note out of fd and closes it.
func read(fd int) (*Note, error) {
	f := os.NewFile(uintptr(fd), "handover")
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(io.NewSectionReader(f, 0, maxNote), maxNote))
	if err != nil {
		return nil, err
	}
	n := &Note{}
	if err := json.Unmarshal(text, n); err != nil {
		return nil, fmt.Errorf("the handover makes no sense: %w", err)
	}
	if n.Format < 1 || n.Format > Format {
		return n, fmt.Errorf("the handover has format %d, this version reads up to %d", n.Format, Format)
	}
	return n, nil
}

// fromEnv finds the Note that the environment names, nil if there is none. The
// variable is removed: what this process starts shall not take itself for it.
func fromEnv() (*Note, error) {
	value := os.Getenv(Env)
	_ = os.Unsetenv(Env)
	fd, err := strconv.Atoi(value)
	if err != nil || fd < firstFD || !isMemory(fd) {
		return nil, nil
	}
	n, err := read(fd)
	if n == nil || n.PID != os.Getpid() && n.Reply == 0 {
		return nil, nil
	}
	return n, err
}

const firstFD = 3

// isMemory says that fd is a file of this user that has no name: a forged variable
// may name anything, and what a Note says is executed.
func isMemory(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 0 && int(st.Uid) == os.Geteuid()
}
