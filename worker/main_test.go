package worker

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	helperEnv = "FUGUE_TEST_HELPER" // names the app that the test binary is to play
	argEnv    = "FUGUE_TEST_ARG"
)

// helpers are the apps. An app that no test starts is a mistake.
var helpers = map[string]func() int{
	"serve":   serveHelper,
	"run":     runHelper,
	"lines":   linesHelper,
	"hang":    hangHelper,
	"idle":    idleHelper,
	"single":  singleHelper,
	"turns":   turnsHelper,
	"nothing": func() int { return 0 },
}

var (
	usedMu sync.Mutex // guards used
	used   = map[string]bool{}
)

func TestMain(m *testing.M) {
	if name := os.Getenv(helperEnv); name != "" {
		os.Exit(helpers[name]())
	}
	for fd := 3; fd < 1024; fd++ {
		unix.CloseOnExec(fd) // what the launcher of the test left open is not ours to find
	}
	flag.Parse()
	code := m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
		for name := range helpers {
			if !used[name] {
				fmt.Fprintf(os.Stderr, "helper %q is used by no test\n", name)
				code = 1
			}
		}
	}
	os.Exit(code)
}
