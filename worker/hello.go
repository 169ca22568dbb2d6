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
// That is all that happens here: nothing is unset, closed or started, so that a
// program that never uses the package, or execs another, is not disturbed. The
// pipe is empty at this moment and non-blocking; a lost hello is no harm.
func init() {
	if fd := pipeFD(os.Getenv, os.Getpid()); fd >= 0 {
		unix.Write(fd, wire.Message{Type: wire.Hello}.Append(nil))
	}
}
