package proxy

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// app is the child process.
type app struct {
	process *os.Process
	since   time.Time
	died    chan struct{} // closed when it has ended
	ending  string        // how; set before died is closed
}

// startApp runs argv with stdout and stderr of this process, in its process
// group: the master kills the pair by that.
func startApp(argv, env []string) (*app, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stdout, os.Stderr
	cmd.SysProcAttr = dieWithParent()
	a := &app{since: time.Now(), died: make(chan struct{})}
	started := make(chan error)
	go a.live(cmd, started)
	return a, <-started
}

// live starts the app and waits for its end. It keeps its thread for as long as
// the app lives: to the kernel the parent that must not die is the thread that
// started it (PR_SET_PDEATHSIG in prctl(2)).
func (a *app) live(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	a.process = cmd.Process
	started <- err
	if err != nil {
		return
	}
	_ = cmd.Wait() // its state says all
	a.ending = cmd.ProcessState.String()
	close(a.died)
}

// over says whether it has ended.
func (a *app) over() bool {
	select {
	case <-a.died:
		return true
	default:
		return false
	}
}

// endError says how it has ended.
func (a *app) endError() error {
	hint := ""
	if a.ending == "exit status 0" {
		hint = " (it has to stay in the foreground)"
	}
	return fmt.Errorf("the app has ended: %s%s", a.ending, hint)
}

// stop asks the app to leave, and kills it if it has not within limit; 0 leaves
// that to the master.
func (a *app) stop(sig syscall.Signal, limit time.Duration) {
	_ = a.process.Signal(sig) // fails if it has ended
	var late <-chan time.Time
	if limit > 0 {
		late = time.After(limit)
	}
	select {
	case <-a.died:
	case <-late:
		_ = a.process.Kill()
		<-a.died
	}
}
