package worker

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
)

// A native app may take long before it calls Serve (migrations, caches). With
// `ready = "auto"` the master cannot know that it speaks the protocol, and would
// take it for a foreign app that is ready once it has lived for a second. So
// merely loading this package says hello, and the master waits for the ready.
//
// It also takes back the signal that the master asks the kernel to send its apps
// when it dies: this package learns of that from the command socket and lets
// requests finish. The signal belongs to the thread that called execve(2), the
// first one, on which the runtime runs all init functions; nowhere later is that
// thread at hand.
//
// The first stage of fugue-http has this package too, and is not the app: were it
// to say hello, a foreign app would be waited for in vain.
//
// Nothing else happens here: nothing is unset, closed or started, so that a
// program that never uses the package is not disturbed. The pipe is empty at this
// moment and non-blocking; a lost hello is no harm.
func init() {
	if os.Getenv(wire.EnvStage) != "" {
		return
	}
	if fd := pipeFD(os.Getenv, os.Getpid()); fd >= 0 {
		outliveMaster()
		unix.Write(fd, wire.Message{Type: wire.Hello}.Append(nil))
	}
}
