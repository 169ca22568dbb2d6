package master

import "github.com/fugue-http/fugue/internal/config"

// Options is all that a master needs to know.
type Options struct {
	// Config is the validated file with the flags applied.
	Config *config.Config

	// Version is shown in status.
	Version string

	// App is what the workers run.
	App App

	// Load reads the settings anew, for a reload. It is called in a goroutine of its
	// own. Without it there are no reloads.
	Load func() (*config.Config, App, error)

	// Dir is where the program was started: a daemon has left that folder, and paths
	// of its command line are relative to it. "" if it is gone.
	Dir string

	// Preflight are the arguments, the program's name first, with which a new binary
	// has to exit with 0 before it is considered for an upgrade; nil for none.
	Preflight []string

	// Started, if not nil, is called once, in a goroutine of its own, when the
	// first generation is ready.
	Started func()

	// Workers, if not nil, is called by the loop with the pids of all worker
	// processes whenever they have changed. It must not block; the slice is its own.
	Workers func(pids []int)
}

// App is the program of the workers.
type App struct {
	// Argv is the program and its arguments.
	Argv []string `json:"argv"`

	// Self says that the program is the running binary itself (the built-in
	// apps, and programs that use package fugue); Argv[0] is only its name then.
	Self bool `json:"self,omitempty"`

	// Path is the file of the program, to be kept open as long as workers may have to
	// be started from it; "" if that is not known. With Self it is where a reload
	// finds a newer one; "" if that is for upgrades alone.
	Path string `json:"path,omitempty"`
}
