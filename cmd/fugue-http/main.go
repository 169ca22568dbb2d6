// Fugue-http runs an app in worker processes over shared listening sockets, and
// is the command that asks and tells a running one. See --help.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/handover"
	"github.com/fugue-http/fugue/internal/logpipe"
	"github.com/fugue-http/fugue/internal/stage"
	"github.com/fugue-http/fugue/internal/version"
)

// The master must stay on the first thread: the signal that ends workers with
// it (PR_SET_PDEATHSIG) comes when the thread that started them ends.
func init() { runtime.LockOSThread() }

func main() {
	stage.Enter()
	logpipe.Enter()
	handover.SetVersion(version.String())
	p := program{out: os.Stdout, err: os.Stderr, terminal: isTerminal(1)}
	os.Exit(p.main(os.Args[1:]))
}

// program is where the words go.
type program struct {
	out, err io.Writer
	terminal bool // out is one
}

// main is the whole program less the process around it.
func (p program) main(args []string) (exitCode int) {
	if len(args) > 0 && args[0] == "serve" {
		return p.exit(serve(args[1:]))
	}
	c, err := parse(args)
	if err == nil {
		err = p.do(c)
	}
	if err != nil { // of a new version that does not know how to go on
		handover.Answer(err)
		handover.Back(err)
	}
	return p.exit(err)
}

func (p program) do(c *command) error {
	switch {
	case c.help:
		return p.print(usage())
	case c.version:
		return p.print(versionLine() + "\n")
	case c.verb != nil:
		return p.obey(c)
	case c.test:
		return p.test(c)
	case c.print:
		return p.printConfig(c)
	}
	return p.run(c)
}

func (p program) print(text string) error {
	_, err := io.WriteString(p.out, text)
	return err
}

// A usageError is for the user to mend on the command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func misused(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// exit says what went wrong, a line for each thing, and what that means to a
// script: 1 it failed, 2 the command line or the settings are wrong.
func (p program) exit(err error) int {
	var usage usageError
	var faults config.Faults
	switch {
	case err == nil:
		return 0
	case errors.As(err, &faults):
		fmt.Fprintln(p.err, faults)
		return 2
	case errors.As(err, &usage):
		fmt.Fprintf(p.err, "fugue-http: %s (see fugue-http --help)\n", usage.text)
		return 2
	}
	fmt.Fprintln(p.err, "fugue-http:", err)
	return 1
}
