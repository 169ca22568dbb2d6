package main

import (
	"fmt"
	"strings"
)

const usageHead = `fugue-http runs an app in worker processes over shared listening sockets.

  fugue-http -c unicorn.toml            run, with the settings of a file
  fugue-http -l :8080 -w 4 -- ./app -x  run ./app -x without a file
  fugue-http                            run the built-in demo on 127.0.0.1:8080
  fugue-http VERB -c unicorn.toml       ask or tell the one that runs with this file

Verbs:
`

const usageFlags = `
Flags, before or after the verb:
  -c, --config FILE       the settings (unicorn.toml); flags override them
  -l, --listen ADDRESS    host:port, :port, unix:/path, unix:@name; may be repeated
  -w, --workers N         how many workers; 0 = one per CPU, at least 2
  -D, --daemonize         run in the background; returns when the first workers are
                          ready (0), or with the reason why they are not (1)
  -t, --test              test the settings, do not run
  -T, --print             print all settings in force, do not run
  -s, --control SOCKET    the control socket, when the file does not tell
      --version           print the version
  -h, --help              print this

Examples:
  fugue-http -c unicorn.toml -t && fugue-http -c unicorn.toml -D
  fugue-http -c unicorn.toml status --watch
  fugue-http -c unicorn.toml scale +2
  fugue-http -c unicorn.toml reload --wait
  fugue-http -s /run/app/control.sock stop

Exit status: 0 done; 1 failed; 2 wrong usage or settings.
`

// usage is printed by --help.
func usage() string {
	var b strings.Builder
	b.WriteString(usageHead)
	for _, v := range verbs {
		fmt.Fprintf(&b, "  %-25s %s\n", v.synopsis(), v.does)
	}
	return b.String() + usageFlags
}

func (v verb) synopsis() string {
	text := v.name
	if v.argument != "" {
		text += " " + v.argument
	}
	for _, flag := range v.flags {
		text += " [--" + flag + "]"
	}
	return text
}
