package main

import (
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/fugue-http/fugue/internal/handover"
)

// command is a parsed command line.
type command struct {
	verb *verb    // nil: run
	args []string // of the verb
	app  []string // what stands behind --

	config, control        string
	dir                    string // where the command line was typed; "" if that is gone
	listen                 []string
	workers                int
	daemonize, test, print bool
	version, help          bool
	json, watch            bool
	quick, wait            bool
	given                  func(flag string) bool
}

func (c *command) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("fugue-http", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.SortFlags = false
	f.StringVarP(&c.config, "config", "c", "", "")
	f.StringArrayVarP(&c.listen, "listen", "l", nil, "")
	f.IntVarP(&c.workers, "workers", "w", 0, "")
	f.BoolVarP(&c.daemonize, "daemonize", "D", false, "")
	f.BoolVarP(&c.test, "test", "t", false, "")
	f.BoolVarP(&c.print, "print", "T", false, "")
	f.StringVarP(&c.control, "control", "s", "", "")
	f.BoolVar(&c.json, "json", false, "")
	f.BoolVar(&c.watch, "watch", false, "")
	f.BoolVar(&c.quick, "quick", false, "")
	f.BoolVar(&c.wait, "wait", false, "")
	f.BoolVar(&c.version, "version", false, "")
	f.BoolVarP(&c.help, "help", "h", false, "")
	return f
}

// parse reads the command line; flags may stand before or after the verb.
func parse(args []string) (*command, error) {
	c := &command{}
	c.dir, _ = handover.Dir()
	f := c.flags()
	if err := f.Parse(hideNumbers(f, args)); err != nil {
		return nil, misused("%v", err)
	}
	c.given = f.Changed
	words := f.Args()
	if n := f.ArgsLenAtDash(); n >= 0 {
		words, c.app = words[:n], words[n:]
		if len(c.app) == 0 {
			return nil, misused("there is no program behind --")
		}
	}
	if c.help || c.version {
		return c, nil
	}
	for i := range words {
		words[i] = strings.TrimPrefix(words[i], hidden)
	}
	return c, c.check(words)
}

// check finds the verb, and flags that mean nothing here.
func (c *command) check(words []string) error {
	for name, path := range map[string]string{"config": c.config, "control": c.control} {
		if c.given(name) && path == "" {
			return misused("--%s needs a path", name)
		}
	}
	if len(words) > 0 {
		if err := c.setVerb(words[0], words[1:]); err != nil {
			return err
		}
	}
	if c.test && c.print {
		return misused("-t and -T exclude each other")
	}
	return c.checkFlags()
}

func (c *command) setVerb(name string, args []string) error {
	i := slices.IndexFunc(verbs, func(v verb) bool { return v.name == name })
	if i < 0 {
		return misused("%s", unknownVerb(name))
	}
	c.verb, c.args = &verbs[i], args
	switch want := c.verb.argument; {
	case want == "" && len(args) > 0:
		return misused("%s takes no argument, and got %q", name, args[0])
	case want != "" && len(args) == 0:
		return misused("%s needs an argument: %s %s", name, name, want)
	case want != "" && len(args) > 1:
		return misused("%s takes one argument, and got %q, too", name, args[1])
	}
	return nil
}

// checkFlags refuses what would silently be ignored.
func (c *command) checkFlags() error {
	owners := map[string][]string{}
	for _, v := range verbs {
		for _, flag := range v.flags {
			owners[flag] = append(owners[flag], v.name)
		}
	}
	for _, flag := range slices.Sorted(maps.Keys(owners)) {
		if names := owners[flag]; c.given(flag) && (c.verb == nil || !slices.Contains(names, c.verb.name)) {
			return misused("--%s belongs to %s", flag, strings.Join(names, " and "))
		}
	}
	if c.verb == nil {
		return nil
	}
	for _, flag := range []string{"daemonize", "test", "print"} {
		if c.given(flag) {
			return misused("--%s is for running, not for %s", flag, c.verb.name)
		}
	}
	if len(c.app) > 0 {
		return misused("a program behind -- is for running, not for %s", c.verb.name)
	}
	return nil
}

// hidden marks an argument that must not be taken for flags. No argument can
// contain it.
const hidden = "\x00"

var negative = regexp.MustCompile(`^-[0-9]+$`)

// hideNumbers keeps the -2 of "scale -2" from being read as flags.
func hideNumbers(f *pflag.FlagSet, args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--" && (i == 0 || !wantsValue(f, args[i-1])) {
			break
		}
		if negative.MatchString(arg) && (i == 0 || !wantsValue(f, args[i-1])) {
			args[i] = hidden + arg
		}
	}
	return args
}

// wantsValue says whether the argument after arg is the value of a flag.
func wantsValue(f *pflag.FlagSet, arg string) bool {
	if name, long := strings.CutPrefix(arg, "--"); long {
		flag := f.Lookup(name)
		return flag != nil && flag.NoOptDefVal == ""
	}
	letters, short := strings.CutPrefix(arg, "-")
	for short && letters != "" {
		flag := f.ShorthandLookup(letters[:1])
		if flag == nil {
			return false
		}
		letters = letters[1:]
		if flag.NoOptDefVal == "" {
			return letters == "" // else they are the value
		}
	}
	return false
}
