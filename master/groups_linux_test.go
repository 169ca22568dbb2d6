package master

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/master/pool"
)

func atGroup(address string) config.Listener {
	return config.Listener{Address: address, Backlog: 7, ReusePort: true}
}

// groupMaster has one group, and no worker.
func groupMaster(t *testing.T) (*master, *listener) {
	t.Helper()
	m := idleMaster(t)
	p := mustPlan(t, nil, atGroup("127.0.0.1:0"))
	m.gen.listeners, m.gen.options = p.list, p.want
	m.setListeners(p.list)
	return m, p.list[0]
}

// worker adds a process that does not exist, and returns its end of the command socket.
func (m *master) worker(t *testing.T, slot int, commands bool) (c *child, theirs int) {
	t.Helper()
	ours, theirs, err := socketpair()
	must(t, err)
	t.Cleanup(func() { _, _ = unix.Close(ours), unix.Close(theirs) })
	c = &child{pid: 1000 + slot, slot: slot, gen: 1, command: ours, commands: commands, shares: commands}
	m.children[c.pid] = c
	return c, theirs
}

// wantShare fails unless the next command is a share of so many descriptors.
func wantShare(t *testing.T, what string, l *listener, fd, descriptors int) {
	t.Helper()
	commands, got := told(t, fd)
	if descriptors == 0 && len(commands) == 0 {
		return
	}
	if len(commands) != 1 || commands[0].Type != wire.CommandShare || commands[0].Group != l.Group() || got != descriptors {
		t.Errorf("%s: told %+v with %d descriptors, not %d", what, commands, got, descriptors)
	}
}

// A socket is opened with the first worker of its slot, and all who take commands are
// told, once.
func TestAGroupGrowsWithItsSlots(t *testing.T) {
	t.Parallel()
	m, l := groupMaster(t)
	one, theirs := m.worker(t, 1, true)
	m.share(one)
	wantShare(t, "alone", l, theirs, 0)
	m.widen(1, m.gen)
	if n := len(l.FDs()); n != 1 {
		t.Errorf("slot 1 alone has %d sockets", n)
	}
	m.widen(2, m.gen)
	wantShare(t, "the second", l, theirs, 2)
	_, foreign := m.worker(t, 2, false)
	m.widen(4, m.gen)
	wantShare(t, "the third and fourth", l, theirs, 2)
	wantShare(t, "one that takes no commands", l, foreign, 0)
	m.widen(4, m.gen)
	m.widen(3, m.gen)
	m.share(one)
	wantShare(t, "nothing new", l, theirs, 0)
	late, theirs := m.worker(t, 3, false)
	m.graduate(late, true, true)
	_, _ = told(t, theirs) // its seat
	wantShare(t, "one that is ready later", l, theirs, 4)
	if fds := l.FDs(); len(fds) != 4 || l.SlotFD(3) != fds[2] {
		t.Errorf("slot 3 has %d of %v", l.SlotFD(3), fds)
	}
}

// A worker that does not read its socket is offered the sockets again when it says
// something, and nobody waits for it.
func TestSocketsThatAreNotTakenAreOfferedAgain(t *testing.T) {
	t.Parallel()
	m, l := groupMaster(t)
	c, theirs := m.worker(t, 1, true)
	for c.tell(wire.Command{Type: wire.CommandDrain}) == nil {
	}
	m.widen(3, m.gen)
	if !c.behind || c.shared[l] != 0 {
		t.Fatalf("behind %v, told of %d", c.behind, c.shared[l])
	}
	for buf := make([]byte, 1<<16); ; {
		if n, _, err := unix.Recvfrom(theirs, buf, unix.MSG_DONTWAIT); err != nil || n == 0 {
			break
		}
	}
	m.hearWorker(c, event{Event: pool.Event{Kind: pool.BeatHeard, PID: c.pid}})
	wantShare(t, "offered again", l, theirs, 3)
	if c.behind || c.shared[l] != 3 {
		t.Errorf("behind %v, told of %d", c.behind, c.shared[l])
	}
}

// Workers must not stand back from a socket that one of them alone serves.
func TestAGroupIsNotOnTheBoard(t *testing.T) {
	t.Parallel()
	_, l := groupMaster(t)
	alone := mustPlan(t, nil, at("127.0.0.1:0"))
	if got := common(append(alone.list, l)); len(got) != 1 || got[0] != alone.list[0].Listener {
		t.Errorf("%d of the two are on the board", len(got))
	}
}

// Who takes no commands cannot serve the sockets of others.
func TestTooFewWorkersForAForeignApp(t *testing.T) {
	t.Parallel()
	m, _ := groupMaster(t)
	m.widen(3, m.gen)
	c, _ := m.worker(t, 1, true)
	m.noteForeign(1, c.pid)
	if why := m.tooFew(1); why != "" || m.gen.Foreign {
		t.Errorf("of a native app: %q", why)
	}
	c.shares = false
	m.noteForeign(1, c.pid)
	for n, refused := range map[int]bool{0: false, -1: false, 1: true, 2: true, 3: false, 4: false} {
		if why := m.tooFew(n); (why != "") != refused || refused && !strings.Contains(why, "too few for the 3 sockets of 127.0.0.1:") {
			t.Errorf("%d workers: %q", n, why)
		}
	}
	if why := m.askedScale(1); why == "" || m.pool.Wish() != 2 {
		t.Errorf("scaled to %d: %q", m.pool.Wish(), why)
	}
	m.scaleBy(-1)
	if m.pool.Wish() != 2 {
		t.Errorf("TTOU has scaled to %d", m.pool.Wish())
	}
}

// A reload to fewer workers of such an app fails, and changes nothing.
func TestAReloadToTooFewWorkersFails(t *testing.T) {
	t.Parallel()
	m, l := groupMaster(t)
	m.gen.Foreign = true
	m.widen(3, m.gen)
	m.gen.Workers = 3
	m.change = &change{kind: reload, at: 1}
	plan := mustPlan(t, m.listeners, atGroup("127.0.0.1:0"), at("127.0.0.1:0"))
	m.report(prepared{at: 1, plan: plan, gen: &generation{Workers: 2, program: program{fd: -1}}})
	if m.change != nil || m.lastReload == nil || !strings.Contains(m.lastReload.Reason, "too few for the 3 sockets") {
		t.Errorf("%+v", m.lastReload)
	}
	if len(m.listeners) != 1 || l.FD() < 0 || plan.opened[0].FD() >= 0 {
		t.Error("it has changed the listeners")
	}
	plan.opened = nil
}

// Sockets are opened one by one or as a group, and that stays.
func TestAPlanKeepsAGroupAGroup(t *testing.T) {
	t.Parallel()
	first := mustPlan(t, nil, atGroup("127.0.0.1:0"), at("127.0.0.2:0"))
	must(t, first.list[0].Grow(3, first.list[0].options))
	same := mustPlan(t, first.list, atGroup("127.0.0.1:0"), at("127.0.0.2:0"))
	if len(same.opened) != 0 || !slices.Equal(same.list, first.list) || len(first.list[0].FDs()) != 3 {
		t.Errorf("%d opened, %d sockets", len(same.opened), len(first.list[0].FDs()))
	}
	for _, c := range []config.Listener{at("127.0.0.1:0"), atGroup("127.0.0.2:0")} {
		if _, err := planFor(t, first.list, c); err == nil || !strings.Contains(err.Error(), "(reuseport) is settled when the address is opened; stop and start") {
			t.Errorf("%s, reuseport %v: %v", c.Address, c.ReusePort, err)
		}
	}
}

// The next image has all sockets, and knows which descriptors to keep.
func TestAGroupSurvivesAnUpgrade(t *testing.T) {
	t.Parallel()
	m, l := groupMaster(t)
	m.widen(3, m.gen)
	s := m.save(nil)
	fds := s.descriptors()
	for _, fd := range l.FDs() {
		if !slices.Contains(fds, fd) {
			t.Errorf("descriptor %d is not among %v", fd, fds)
		}
	}
	text, err := json.Marshal(s.Listeners)
	must(t, err)
	var read []listenerState
	must(t, json.Unmarshal(text, &read))
	if got := read[0]; !got.Socket.Grouped || len(got.Socket.More) != 2 || !got.Options.ReusePort {
		t.Errorf("%s", text)
	}
	// What has been written by a version without groups is none.
	var old []listenerState
	must(t, json.Unmarshal([]byte(`[{"socket":{"fd":3,"address":"127.0.0.1:80"},"options":{"Backlog":7}}]`), &old))
	if old[0].Socket.Grouped || old[0].Options.ReusePort {
		t.Errorf("%+v", old)
	}
}

// A worker beyond the largest group, or when no socket can be opened, shares one.
func TestASlotWithoutASocketSharesOne(t *testing.T) {
	t.Parallel()
	m, l := groupMaster(t)
	var log strings.Builder
	m.log = slog.New(slog.NewTextHandler(&log, nil))
	m.widen(2, m.gen)
	for _, c := range []struct {
		slot int
		same int
	}{{3, 1}, {4, 2}, {5, 1}} {
		if l.SlotFD(c.slot) != l.SlotFD(c.same) {
			t.Errorf("slot %d does not share with %d", c.slot, c.same)
		}
	}
	must(t, l.Close())
	m.widen(3, m.gen)
	if !strings.Contains(log.String(), "worker shares a socket") {
		t.Errorf("log: %s", &log)
	}
	m.listeners, m.gen.listeners = nil, nil
}
