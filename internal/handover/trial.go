package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/stage"
)

// answer is what a new image says in its trial.
type answer struct {
	Version string `json:"version"`
	Fault   string `json:"fault,omitempty"`
}

// version is what Answer tells; master sets it.
var version string

// SetVersion says which version this program is.
func SetVersion(v string) { version = v }

// Answer ends a trial: the new image could take over (nil), or says why not. It
// does not return then. Without a trial it does nothing.
func Answer(err error) {
	n := pending.Load()
	if n == nil || n.Reply == 0 {
		return
	}
	a := answer{Version: version}
	if err != nil {
		a.Fault = clip(err.Error())
	}
	text, bad := json.Marshal(a)
	if bad == nil {
		_, bad = syscall.Write(n.Reply, text)
	}
	if bad != nil || err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// longestFault, with every byte of it escaped, fits into a pipe (64 KiB), which is
// read when the trial is over.
const longestFault = 8 << 10

func clip(text string) string {
	if len(text) <= longestFault {
		return text
	}
	return strings.ToValidUTF8(text[:longestFault], "") + " …"
}

// Trial says that this process only has to say whether it could take over.
func Trial() bool {
	n := pending.Load()
	return n != nil && n.Reply != 0
}

// replyTime is for reading what is there already.
const replyTime = 100 * time.Millisecond

// strayTime is for being told of an exit that was waited for elsewhere.
const strayTime = 100 * time.Millisecond

// lastWords bounds what a program may print that is shown.
const lastWords = 4 << 10

// Check runs a program in the folder dir ("": where we are) that has to exit with 0
// within limit, as with -t. The error ends with what it printed. It may be called
// from any goroutine that waits; when ctx is done it kills the program and returns.
func Check(ctx context.Context, p Program, args []string, dir string, limit time.Duration) error {
	r, err := runToEnd(ctx, p, launch{args: args, dir: dir, limit: limit})
	if err != nil {
		return err
	}
	if !r.known || r.status.ExitStatus() == 0 {
		return nil
	}
	return r.failed("")
}

// Try starts a program as it would be started in the place of this one, and
// returns the version that it says it is. It may be called from any goroutine
// that waits; when ctx is done it kills the program and returns.
func Try(ctx context.Context, p Program, args []string, n Note, limit time.Duration) (string, error) {
	reply, theirs, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer reply.Close()
	defer theirs.Close()
	n.Reply = firstFD + 1
	note, err := n.Write()
	if err != nil {
		return "", err
	}
	defer unix.Close(note)
	env := append(stage.Without(os.Environ(), Env), fmt.Sprintf("%s=%d", Env, firstFD))
	r, err := runToEnd(ctx, p, launch{args: args, env: env, files: []int{note, int(theirs.Fd())}, limit: limit})
	if err != nil {
		return "", err
	}
	return r.verdict(reply)
}

// verdict reads the answer, which is there if the program has given one. Something
// that it has started may still hold the other end.
func (r result) verdict(reply *os.File) (string, error) {
	_ = reply.SetReadDeadline(time.Now().Add(replyTime))
	buf := make([]byte, 64<<10)
	n, _ := reply.Read(buf)
	var a answer
	if n <= 0 || json.Unmarshal(buf[:n], &a) != nil {
		return "", r.failed("it does not say that it could take over")
	}
	if a.Fault != "" {
		return a.Version, errors.New(a.Fault)
	}
	return a.Version, nil
}

// result is how a program has ended.
type result struct {
	path    string
	status  unix.WaitStatus
	known   bool // false: somebody else has waited for it and not said so
	printed string
}

// failed says how it ended, and what it printed last.
func (r result) failed(what string) error {
	how := what
	switch {
	case !r.known:
	case r.status.Signaled():
		how = join(how, "ended by "+unix.SignalName(r.status.Signal()))
	default:
		how = join(how, fmt.Sprintf("exit status %d", r.status.ExitStatus()))
	}
	if r.printed != "" {
		how = join(how, r.printed)
	}
	return fmt.Errorf("%s: %s", r.path, how)
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// launch says how a program is started.
type launch struct {
	args  []string
	dir   string   // "": where we are
	env   []string // nil: ours
	files []int    // descriptors from 3 on
	limit time.Duration
}

// runToEnd starts the program with /dev/null, a pipe as 1 and 2, and the files, and
// waits until it has ended. One that is late is killed, with its group, which it may
// have left (setpgid(2)); so is one whose master has ended meanwhile.
func runToEnd(ctx context.Context, p Program, s launch) (result, error) {
	r := result{path: p.Path}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return r, err
	}
	defer unix.Close(null)
	out, in, err := os.Pipe()
	if err != nil {
		return r, err
	}
	defer out.Close()
	if s.env == nil {
		s.env = stage.Without(os.Environ(), Env)
	}
	defer found.begin()()
	fds := []uintptr{uintptr(null), in.Fd(), in.Fd()}
	for _, fd := range s.files {
		fds = append(fds, uintptr(fd))
	}
	runtime.LockOSThread() // it is killed when this thread ends
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec(p.name(), s.args, &syscall.ProcAttr{Dir: s.dir, Env: s.env, Files: fds, Sys: mortal()})
	_ = in.Close()
	if err != nil {
		return r, fmt.Errorf("%s: %w", p.Path, err)
	}
	printed := make(chan string, 1)
	go func() { printed <- readLast(out) }() // ends with out, at the latest below
	limited, done := context.WithTimeout(ctx, s.limit)
	defer done()
	cancelKill := context.AfterFunc(limited, func() { _, _ = unix.Kill(-pid, unix.SIGKILL), unix.Kill(pid, unix.SIGKILL) })
	r.status, r.known = wait(pid)
	ended := cancelKill()
	_ = unix.Kill(-pid, unix.SIGKILL) // what it has started; ESRCH if nothing
	_ = out.SetReadDeadline(time.Now().Add(time.Second))
	r.printed = <-printed
	switch {
	case ended:
		return r, nil
	case ctx.Err() != nil:
		return r, fmt.Errorf("%s: %w", p.Path, context.Cause(ctx))
	}
	return r, r.late(s.limit)
}

func (r result) late(limit time.Duration) error {
	return fmt.Errorf("%s: %s", r.path, join(fmt.Sprintf("has not ended within %s", limit), r.printed))
}

func wait(pid int) (unix.WaitStatus, bool) {
	var status unix.WaitStatus
	for {
		got, err := unix.Wait4(pid, &status, 0, nil)
		switch err {
		case nil:
			return status, got == pid
		case unix.EINTR:
		default: // it was waited for already
			return found.take(pid, strayTime)
		}
	}
}

// readLast reads all there is and returns the end of it, on one line.
func readLast(r io.Reader) string {
	var last []byte
	buf := make([]byte, lastWords)
	for {
		n, err := r.Read(buf)
		last = append(last, buf[:n]...)
		last = last[max(0, len(last)-lastWords):]
		if err != nil {
			return strings.Join(strings.FieldsFunc(string(last), func(c rune) bool { return c == '\n' || c == '\r' }), "; ")
		}
	}
}
