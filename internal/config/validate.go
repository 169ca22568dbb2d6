package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Validate reports everything that can be seen to be wrong without a look at
// the machine. Load has called it; it is there for a Config whose fields were
// set afterwards.
func (c *Config) Validate() Faults { return c.validate(nil).plain() }

// validate skips the keys that have a fault already: they still hold their
// default, of which nothing can be said.
func (c *Config) validate(known Faults) Faults {
	v := validator{c: c, known: known}
	for _, s := range everySetting(reflect.ValueOf(c).Elem(), "") {
		v.check(s.path, checkBounds(s))
		v.check(s.path, checkChoice(s))
		v.kind(s)
	}
	v.app()
	v.timing()
	v.watch()
	v.recycle()
	v.identity()
	v.listeners()
	v.control()
	return v.faults
}

type validator struct {
	c      *Config
	known  Faults
	faults Faults
}

func (v *validator) check(path string, err error) {
	same := func(f Fault) bool { return f.Key == path }
	if err != nil && !slices.ContainsFunc(v.known, same) && !slices.ContainsFunc(v.faults, same) {
		v.faults.add(path, "%v", err)
	}
}

// app wants exactly one thing to run.
func (v *validator) app() {
	given := v.c.App.given()
	faulty := slices.ContainsFunc(v.known, func(f Fault) bool { return strings.HasPrefix(f.Key, "app") })
	switch {
	case len(given) == 0 && !faulty:
		v.check("app", errors.New("nothing to run: one of command, root and demo is required"))
	case len(given) > 1:
		v.check("app."+given[len(given)-1], fmt.Errorf("only one of command, root and demo may be given, not %s", strings.Join(given, " and ")))
	}
	if len(v.c.App.Command) > 0 && v.c.App.Command[0] == "" {
		v.check("app.command", errors.New("the program's name is empty"))
	}
	v.proxy(faulty)
}

// proxy wants a command of which each worker can run one.
func (v *validator) proxy(faulty bool) {
	a := v.c.App
	if a.Proxy && len(a.Command) == 0 && !faulty {
		v.check("app.proxy", errors.New("needs command, the server that is run behind it"))
	}
	if _, ok := a.Env["PORT"]; ok && a.Proxy {
		v.check("app.env.PORT", errors.New("with proxy = true each worker is given its own"))
	}
	v.check("app.ready", a.checkReadyWith())
}

// given names what there is to run.
func (a App) given() (names []string) {
	if len(a.Command) > 0 {
		names = append(names, "command")
	}
	if a.Root != "" {
		names = append(names, "root")
	}
	if a.Demo {
		names = append(names, "demo")
	}
	return names
}

func (v *validator) timing() {
	rule, err := readyRule(v.c.App.Ready)
	if err == nil && !rule.Word && rule.Alive >= v.c.BootTimeout && v.c.BootTimeout > 0 {
		v.check("app.ready", fmt.Errorf("a worker that is ready after %s never is within boot_timeout, %s", rule.Alive, v.c.BootTimeout))
	}
}

// recycle refuses a jitter that would have no effect.
func (v *validator) recycle() {
	faulty := func(f Fault) bool { return f.Key == "recycle.max_requests" }
	if r := v.c.Recycle; r.MaxRequestsJitter > 0 && r.MaxRequests == 0 && !slices.ContainsFunc(v.known, faulty) {
		v.check("recycle.max_requests_jitter", errors.New("has no effect without max_requests: set that too"))
	}
}

func (v *validator) identity() {
	if isRoot(v.c.UID) {
		v.check("uid", errRootWorkers)
	}
}

func (v *validator) listeners() {
	seen := map[string]bool{}
	for i, addr := range v.c.Listen {
		v.once(indexKey("listen", i), addr, seen)
	}
	for i, l := range v.c.Listeners {
		at := indexKey("listener", i)
		if l.Address == "" {
			v.check(at+".address", errors.New("is required"))
			continue
		}
		v.once(at+".address", l.Address, seen)
		v.options(at, l)
	}
}

func (v *validator) once(path, addr string, seen map[string]bool) {
	key := sameAddress(addr)
	if key != "" && seen[key] {
		v.check(path, fmt.Errorf("%q is given twice", addr))
	}
	seen[key] = true
}

// options refuses what an address of this kind would silently ignore.
func (v *validator) options(at string, l Listener) {
	_, isFile := socketFile(l.Address)
	fileOnly := func(name string, given bool) {
		if given && !isFile {
			v.check(joinKey(at, name), fmt.Errorf("only for a unix socket with a path, not for %q", l.Address))
		}
	}
	fileOnly("mode", l.Mode.Set)
	fileOnly("owner", l.Owner != "")
	fileOnly("group", l.Group != "")
	if l.DeferAccept && strings.HasPrefix(l.Address, "unix:") {
		v.check(at+".defer_accept", fmt.Errorf("only for TCP, not for %q", l.Address))
	}
	if l.ReusePort && (strings.HasPrefix(l.Address, "unix:") || strings.HasPrefix(l.Address, "systemd:")) {
		v.check(at+".reuseport", fmt.Errorf("only for a TCP address that is opened here, not for %q", l.Address))
	}
}

// control wants a path that can be bound, with room for a temporary name.
func (v *validator) control() {
	path := v.c.Control()
	if len(path) <= maxControl {
		return
	}
	key := "tmp_path"
	if v.c.ControlPath != "" {
		key = "control_path"
	}
	v.check(key, fmt.Errorf("the control socket %q has %d bytes, and may have %d: set a shorter control_path", path, len(path), maxControl))
}
