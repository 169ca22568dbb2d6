package master

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/sockets"
)

// planFor plans as a reload does that finds have.
func planFor(t *testing.T, have []*listener, list ...config.Listener) (*listenerPlan, error) {
	t.Helper()
	p, err := planListeners(&config.Config{Listeners: list}, have, false)
	if err == nil {
		t.Cleanup(func() { _ = closeAll(p.opened) })
		if len(p.want) != len(p.list) {
			t.Errorf("%d wishes for %d listeners", len(p.want), len(p.list))
		}
	}
	return p, err
}

func mustPlan(t *testing.T, have []*listener, list ...config.Listener) *listenerPlan {
	t.Helper()
	p, err := planFor(t, have, list...)
	must(t, err)
	return p
}

func at(address string) config.Listener { return config.Listener{Address: address, Backlog: 7} }

func TestAPlanKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	first := mustPlan(t, nil, at("127.0.0.1:0"), at("unix:"+path))
	if len(first.opened) != 2 || !slices.Equal(first.list, first.opened) {
		t.Fatalf("at the start %d of %d are new", len(first.opened), len(first.list))
	}
	tcp, file := first.list[0], first.list[1]

	same := mustPlan(t, first.list, at("unix:"+path), at("127.0.0.1:0"))
	if len(same.opened) != 0 || !slices.Equal(same.list, []*listener{file, tcp}) {
		t.Errorf("%d opened, list %v", len(same.opened), same.list)
	}
	more := mustPlan(t, first.list, at("127.0.0.2:0"), at("127.0.0.1:0"))
	if len(more.opened) != 1 || !slices.Equal(more.list, []*listener{more.opened[0], tcp}) || more.opened[0].asked != "127.0.0.2:0" {
		t.Errorf("%d opened, list %v", len(more.opened), more.list)
	}
	if !slices.Equal(difference(first.list, more.list), []*listener{file}) || len(union(first.list, more.list)) != 3 {
		t.Error("what goes and what there is for now is not right")
	}
}

// Two addresses that leave the port to the kernel are two sockets, after a reload too.
func TestAPlanKeepsEachSocketOnce(t *testing.T) {
	t.Parallel()
	first := mustPlan(t, nil, at("127.0.0.1:0"), at("127.0.0.1:0"))
	same := mustPlan(t, first.list, at("127.0.0.1:0"), at("127.0.0.1:0"))
	if len(same.opened) != 0 || !slices.Equal(same.list, first.list) {
		t.Errorf("%d opened, %d in all", len(same.opened), len(same.list))
	}
	if more := mustPlan(t, first.list, at("127.0.0.1:0"), at("127.0.0.1:0"), at("127.0.0.1:0")); len(more.opened) != 1 || len(more.list) != 3 {
		t.Errorf("of three %d are opened, %d in all", len(more.opened), len(more.list))
	}
}

// IPV6_V6ONLY cannot be changed once a socket is bound: to go on with it would refuse
// IPv4 clients, or the other socket.
func TestAPlanDoesNotShiftIPv4(t *testing.T) {
	t.Parallel()
	one := mustPlan(t, nil, at("[::]:0"))
	port := one.list[0].Address()[len("[::]:"):]
	one.list[0].asked = "[::]:" + port
	both := []config.Listener{at("[::]:" + port), at("0.0.0.0:" + port)}
	if _, err := planFor(t, one.list, both...); err == nil || !strings.Contains(err.Error(), "stop and start") {
		t.Errorf("IPv4 to a socket of its own: %v", err)
	}
	must(t, closeAll(one.opened))
	two := mustPlan(t, nil, both...)
	if _, err := planFor(t, two.list, both[0]); err == nil || !strings.Contains(err.Error(), "stop and start") {
		t.Errorf("IPv4 back to the one socket: %v", err)
	}
	if p := mustPlan(t, two.list, both[1], both[0]); len(p.opened) != 0 {
		t.Errorf("the same in another order: %d opened", len(p.opened))
	}
	one.opened = nil
}

// A unix socket whose file is gone reaches nobody: it is opened anew, and the end of
// the old one leaves the new file alone.
func TestAPlanReopensAnUnreachableSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	first := mustPlan(t, nil, at("unix:"+path))
	must(t, os.Remove(path))
	p := mustPlan(t, first.list, at("unix:"+path))
	if len(p.opened) != 1 || p.list[0] == first.list[0] {
		t.Fatalf("%d opened", len(p.opened))
	}
	must(t, closeAll(difference(first.list, p.list)))
	if !p.list[0].Reachable() {
		t.Error("the new one is not reachable any more")
	}
	first.opened = nil
}

// A plan that cannot be carried out has opened nothing, and harmed nothing.
func TestAPlanOpensAllOrNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	first := mustPlan(t, nil, at("127.0.0.1:0"))
	taken := first.list[0].Address()
	for name, c := range map[string]struct {
		last config.Listener
		why  string
	}{
		"in use":     {at(taken), "address already in use"},
		"nonsense":   {at("nonsense"), "nonsense"},
		"no systemd": {at("systemd:web"), "no socket of that name"},
		"no owner":   {config.Listener{Address: "unix:" + path + "2", Owner: "no-such-user"}, "owner"},
		"no group":   {config.Listener{Address: "unix:" + path + "2", Group: "no-such-group"}, "group"},
		"no folder":  {at("unix:" + path + "/a/b"), "a/b"},
	} {
		p, err := planFor(t, first.list, at("127.0.0.1:0"), at("unix:"+path), c.last)
		if err == nil || p != nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", name, err, c.why)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: what was opened before is left: %v", name, err)
		}
		if first.list[0].FD() < 0 {
			t.Fatalf("%s: what there was is closed", name)
		}
	}
	if _, err := planFor(t, nil); err == nil || !strings.Contains(err.Error(), "no address to listen on") {
		t.Errorf("without an address: %v", err)
	}
}

func TestAPlanPassesTheOptions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	spec := config.Listener{Address: "unix:" + path, Name: "web", Backlog: 9, Mode: config.Mode{Bits: 0o640, Set: true}, Owner: "0", Group: "0"}
	if os.Geteuid() != 0 {
		spec.Owner, spec.Group = "", ""
	}
	first := mustPlan(t, nil, at("unix:"+path))
	p := mustPlan(t, first.list, spec)
	want := sockets.Options{Name: "web", Backlog: 9, Mode: 0o640, Owner: -1, Group: -1, Patience: -1}
	if os.Geteuid() == 0 {
		want.Owner, want.Group = 0, 0
	}
	if !reflect.DeepEqual(p.want[0], want) {
		t.Errorf("wants %+v, should want %+v", p.want[0], want)
	}
	if l := p.list[0]; l.Name() != "" || l.options.Backlog != 7 {
		t.Error("a plan has changed what there is")
	}
	must(t, p.list[0].Adjust(p.want[0]))
	info, err := os.Stat(path)
	must(t, err)
	if p.list[0].Name() != "web" || info.Mode().Perm() != 0o640 {
		t.Errorf("name %q, mode %o", p.list[0].Name(), info.Mode())
	}

	start := listenerPlan{cfg: &config.Config{Listen: []string{"0.0.0.0:80", "[::]:80", "[::]:81"}}, wait: true}
	for address, v6only := range map[string]bool{"[::]:80": true, "[::]:81": false} {
		addr, err := sockets.ParseAddress(address)
		must(t, err)
		opt, err := start.options(at(address), addr)
		must(t, err)
		if opt.V6Only != v6only || opt.Patience != 0 {
			t.Errorf("%s: %+v", address, opt)
		}
	}
}

// What systemd has handed over stays, whether the file names it or not.
func TestAPlanKeepsWhatWasHandedOver(t *testing.T) {
	t.Parallel()
	mine := mustPlan(t, nil, config.Listener{Address: "127.0.0.1:0", Name: "web"}).list[0]
	s := mine.State()
	fd, err := unix.FcntlInt(uintptr(s.FD), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	s.FD, s.Adopted = fd, true
	socket, err := sockets.Restore(s)
	must(t, err)
	t.Cleanup(func() { socket.Close() })
	handed := &listener{Listener: socket}
	for name, list := range map[string][]config.Listener{
		"not named":     nil,
		"by its name":   {at("systemd:web")},
		"by its number": {at(mine.Address())},
		"both":          {at(mine.Address()), at("systemd:web")},
	} {
		if p := mustPlan(t, []*listener{handed}, list...); len(p.opened) != 0 || !slices.Equal(p.list, []*listener{handed}) {
			t.Errorf("%s: %d opened, %d in all", name, len(p.opened), len(p.list))
		}
	}
	p := mustPlan(t, []*listener{handed}, at("127.0.0.2:0"))
	if len(p.opened) != 1 || !slices.Equal(p.list, []*listener{handed, p.opened[0]}) {
		t.Errorf("with another one: %d opened, %d in all", len(p.opened), len(p.list))
	}
}
