package master

import (
	"io"
	"log/slog"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/master/pool"
)

// TestAWorkerThatLeftItsGroupIsKilled, too.
func TestAWorkerThatLeftItsGroupIsKilled(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "60") // in the group of this test: none has its number
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	m := &master{log: slog.New(slog.NewTextHandler(io.Discard, nil)), children: map[int]*child{pid: {pid: pid}}}
	m.perform(pool.Effect{Do: pool.Kill, PID: pid})
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		_ = unix.Kill(pid, unix.SIGKILL)
		<-ended
		t.Fatal("it lived on")
	}
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", s)
	}
}
