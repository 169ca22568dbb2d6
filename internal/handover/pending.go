package handover

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fugue-http/fugue/internal/stage"
)

// firstSteps is how long a new image may take until it has taken over; the
// workers serve meanwhile, but nobody watches them.
var firstSteps = 20 * time.Second // less in tests

// pending is the Note that this process was started with, until Taken.
var pending atomic.Pointer[Note]

// ways is held by whoever decides which way pending goes: forward (Taken) or back.
var ways sync.Mutex

// watchdog goes back if nobody has decided in time.
var watchdog *time.Timer

// dir is where the program was started first.
var dir string

// fault is set by the linker in tests: "adopt" has an image fail after its trial.
var fault string

func init() {
	if _, set := os.LookupEnv(Env); !set {
		return
	}
	catchEarly()
	n, err := fromEnv()
	if n == nil {
		release()
		return
	}
	pending.Store(n)
	dir = n.Dir
	closeOnExec(n.all())
	if err != nil {
		giveUp(err)
	}
	if n.Reply != 0 {
		return
	}
	keepName()
	watchdog = time.AfterFunc(firstSteps, func() {
		Back(fmt.Errorf("the new program has not taken over within %s", firstSteps))
	})
}

// Pending returns the Note that waits to be taken over, nil if there is none.
func Pending() *Note { return pending.Load() }

// Dir is the folder that relative paths of the arguments start from.
func Dir() (string, error) {
	if dir != "" {
		return dir, nil
	}
	return os.Getwd()
}

// Taken says that this image is the master now: there is no way back. It does not
// return if the watchdog was faster and is executing the old one.
func Taken() error {
	ways.Lock()
	defer ways.Unlock()
	n := Pending()
	if n == nil {
		return nil
	}
	if fault == "adopt" && n.Failed == "" {
		return errors.New("told to fail by a test")
	}
	pending.Store(nil)
	if watchdog != nil {
		watchdog.Stop()
	}
	return nil
}

// giveUp ends a trial or goes back.
func giveUp(err error) {
	Answer(err)
	Back(err)
}

// Back executes the old image again, which learns why. It returns if there is
// nothing to go back to, or if that fails as well.
func Back(why error) {
	ways.Lock()
	defer ways.Unlock()
	n := Pending()
	if n == nil || n.Reply != 0 || n.Failed != "" {
		return
	}
	pending.Store(nil)
	back := *n
	back.Failed = why.Error()
	fmt.Fprintln(os.Stderr, "fugue: back to the old program:", back.exec(func(env []string) error {
		if os.Getpid() != 1 { // it has no defaults, and the runtime would end it
			signal.Stop(caught.stops)
		}
		Settle()
		return stage.ExecFD(n.Image, os.Args, withSignals(env, waiting(caught.stops, caught.others)))
	}))
}

// keepName puts the program's name in the place of what the kernel makes of a
// descriptor, for ps and pgrep.
func keepName() {
	name := filepath.Base(os.Args[0])
	_ = os.WriteFile("/proc/self/comm", []byte(strings.ToValidUTF8(name, "?")), 0)
}
