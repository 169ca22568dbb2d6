package stage

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
)

// shop is a folder with a program in it, "app", that the master has kept open.
type shop struct {
	t    *testing.T
	dir  string
	kept *os.File
}

func newShop(t *testing.T) shop {
	t.Helper()
	s := shop{t: t, dir: t.TempDir()}
	s.program("app")
	s.keep("app")
	return s
}

// program puts a shell there, which is one that can tell what it is.
func (s shop) program(name string) {
	s.t.Helper()
	text, err := os.ReadFile("/bin/sh")
	s.must(err)
	s.must(os.WriteFile(s.path(name), text, 0o755))
}

func (s *shop) keep(name string) {
	s.t.Helper()
	fd, err := unix.Open(s.path(name), unix.O_PATH|unix.O_CLOEXEC, 0)
	s.must(err)
	s.kept = os.NewFile(uintptr(fd), name)
	s.t.Cleanup(func() { s.kept.Close() })
}

func (s shop) path(name string) string { return filepath.Join(s.dir, name) }

func (s shop) rename(from, to string) { s.must(os.Rename(s.path(from), s.path(to))) }

func (s shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// aboutMe prints the file that is run, the process's name, whether it was handed what
// is kept, and how many descriptors it may have.
const aboutMe = `readlink /proc/$$/exe; cat /proc/$$/comm; test -e /proc/$$/fd/4 && echo open || echo closed; ulimit -Sn`

// run has the first stage become name. It is started where few files may be open.
func (s shop) run(o Order, name string) (out []string, said string, err error) {
	s.t.Helper()
	o.Argv = []string{s.path(name), "-c", aboutMe}
	return s.stage(o)
}

func (s shop) stage(o Order) (out []string, said string, err error) {
	s.t.Helper()
	r, w, err := os.Pipe()
	s.must(err)
	defer r.Close()
	o.Master = os.Getpid()
	cmd := exec.Command("sh", "-c", fmt.Sprintf("ulimit -Sn 321; exec /proc/%d/exe", os.Getpid()))
	cmd.ExtraFiles = []*os.File{w, s.kept}
	cmd.Env = o.Environ(append(os.Environ(), wire.EnvPipeFD+"=3"))
	text, err := cmd.CombinedOutput()
	w.Close()
	buf := make([]byte, 4096)
	n, _ := r.Read(buf)
	return strings.Split(strings.TrimSpace(string(text)), "\n"), string(buf[:n]), err
}

// keptFD is where stage passes what is kept.
const keptFD = 4

// Which program becomes of an order depends on what its name leads to by now, and on
// whether the one that is kept has ever worked.
func TestTheKeptProgram(t *testing.T) {
	t.Parallel()
	const nothing = ""
	for name, c := range map[string]struct {
		deploy func(shop) // since it was opened
		name   string     // "app" if empty
		order  Order
		want   string // the file that is run; nothing if it cannot be
	}{
		"unchanged":             {func(shop) {}, "", Order{Exe: keptFD, Proven: true}, "app"},
		"another file":          {replace, "", Order{Exe: keptFD, Proven: true}, "old"},
		"another file, in vain": {replace, "", Order{Exe: keptFD}, "app"},
		"another file, unkept":  {replace, "", Order{Proven: true}, "app"},
		"no file":               {remove, "", Order{Exe: keptFD, Proven: true}, "app (deleted)"},
		"no file, in vain":      {remove, "", Order{Exe: keptFD}, nothing},
		"no right to run it":    {forbid, "", Order{Exe: keptFD, Proven: true}, "old"},
		"a folder":              {folder, "", Order{Exe: keptFD, Proven: true}, "old"},
		"a script":              {script, "", Order{Exe: keptFD, Proven: true}, "old"},
		"a link to it":          {link, "current", Order{Exe: keptFD, Proven: true}, "app"},
		"a link elsewhere":      {relink, "current", Order{Exe: keptFD, Proven: true}, "app"},
		"a link, in vain":       {relink, "current", Order{Exe: keptFD}, "new"},
		"self":                  {replace, "", Order{Exe: keptFD, Self: true}, "old"},
		"self, gone":            {remove, "", Order{Exe: keptFD, Self: true, Proven: true}, "app (deleted)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			c.deploy(s)
			if c.name == "" {
				c.name = "app"
			}
			out, said, err := s.run(c.order, c.name)
			if c.want == nothing {
				if err == nil || !strings.Contains(said, "no such file or directory") || strings.Contains(said, string(wire.Begun)) {
					t.Errorf("%v, said %q, printed %q", err, said, out)
				}
				return
			}
			if err != nil || len(out) != 4 || said != `{"type":"begun"}`+"\n" {
				t.Fatalf("%v, said %q, printed %q", err, said, out)
			}
			// The name is that of the file, or before Linux 6.14 the descriptor's.
			if comm := regexp.MustCompile(`^(app|old|new|current|4)$`); !comm.MatchString(out[1]) {
				t.Errorf("its name is %q", out[1])
			}
			if out[0] != s.path(c.want) || out[2] == "open" && c.order.Exe > 0 || out[3] != "321" {
				t.Errorf("it is %q, want %s without descriptor 4 and with at most 321", out, c.want)
			}
		})
	}
}

func replace(s shop) { s.rename("app", "old"); s.program("app") }

func remove(s shop) { s.must(os.Remove(s.path("app"))) }

func forbid(s shop) { replace(s); s.must(os.Chmod(s.path("app"), 0o644)) }

func folder(s shop) { s.rename("app", "old"); s.must(os.Mkdir(s.path("app"), 0o755)) }

func script(s shop) {
	s.rename("app", "old")
	s.must(os.WriteFile(s.path("app"), []byte("#!/bin/sh\necho new\n"), 0o755))
}

func link(s shop) { s.must(os.Symlink("app", s.path("current"))) }

func relink(s shop) { s.program("new"); s.must(os.Symlink("new", s.path("current"))) }

// As long as the name leads to what is kept, it is run by its name, which is the one
// that ps shows.
func TestTheNameIsUsedAsLongAsItIsRight(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	link(s)
	out, _, err := s.run(Order{Exe: keptFD, Proven: true}, "current")
	if err != nil || len(out) < 2 || out[1] != "current" {
		t.Errorf("%v: its name is %q", err, out)
	}
}

// A script that is kept by mistake could not be opened by its interpreter: it is not
// even begun.
func TestAScriptThatIsKeptIsNeverRun(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Order{"proven": {Exe: keptFD, Proven: true}, "self": {Exe: keptFD, Self: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			script(s)
			s.keep("app")
			remove(s)
			out, said, err := s.run(o, "app")
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != failedStatus || !strings.Contains(said, `"failed"`) {
				t.Errorf("%v, said %q, printed %q", err, said, out)
			}
		})
	}
}

// Who gives rights up may be unable to reach the program by its name.
func TestTheKeptProgramNeedsNoWayToIt(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become someone else")
	}
	s := newShop(t)
	s.must(os.Chmod(s.dir, 0o700))
	nobody := User{UID: 65534, GID: 65534, Groups: []int{}, Name: "nobody"}
	out, said, err := s.run(Order{Exe: keptFD, Proven: true, User: &nobody, Dir: "/", Locked: true}, "app")
	if err != nil || len(out) != 4 || out[3] != "321" {
		t.Errorf("%v, said %q, printed %q", err, said, out)
	}
	if out, said, err = s.run(Order{Exe: keptFD, User: &nobody, Dir: "/"}, "app"); err == nil || !strings.Contains(said, "as nobody") {
		t.Errorf("unproven: %v, said %q, printed %q", err, said, out)
	}
}

// Without anything kept it is the binary that runs, whatever its name leads to.
func TestSelfIsTheRunningBinary(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	out, said, err := s.stage(Order{Self: true, Argv: []string{"/no/such/app", "-test.run=^$"}})
	if err != nil || !strings.Contains(strings.Join(out, " "), "PASS") {
		t.Errorf("%v, said %q, printed %q", err, said, out)
	}
}
