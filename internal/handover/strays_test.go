package handover

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Process 1 waits for whatever has ended, and passes on what it does not know.
func TestAnExitThatSomebodyElseWaitedFor(t *testing.T) {
	t.Parallel()
	end := found.begin()
	defer end()
	pid := ended(t)
	go Reaped(pid, unix.WaitStatus(3<<8))
	if status, known := wait(pid); !known || status.ExitStatus() != 3 {
		t.Errorf("known %v, status %d", known, status.ExitStatus())
	}
	Reaped(pid+1, 0)
	if _, known := found.take(pid+2, time.Millisecond); known {
		t.Error("an exit that nobody told of is known")
	}
}

func TestExitsAreKeptOnlyForATrial(t *testing.T) {
	t.Parallel()
	var s strays
	s.add(7, 0)
	one, two := s.begin(), s.begin()
	if _, known := s.take(7, 0); known {
		t.Error("it is known from before")
	}
	one()
	s.add(8, 0)
	if _, known := s.take(8, 0); !known {
		t.Error("the other trial still runs")
	}
	two()
	if s.exits != nil {
		t.Errorf("kept %v", s.exits)
	}
}

// ended is the pid of a child that was waited for.
func ended(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if cmd.Process.Pid == os.Getpid() {
		t.Fatal("it is this process")
	}
	return cmd.Process.Pid
}
