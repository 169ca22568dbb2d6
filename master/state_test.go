package master

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/master/pool"
	"github.com/fugue-http/fugue/sockets"
)

// fill gives everything in v another value than zero.
func fill(t *testing.T, v reflect.Value, n *int64) {
	t.Helper()
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(*n, 0).UTC()))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(t, v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), reflect.ValueOf(*n).Convert(v.Type().Elem()))
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(*n)
	case reflect.Uint64, reflect.Uint32, reflect.Uint8:
		v.SetUint(uint64(*n) % 256)
	case reflect.Float64:
		v.SetFloat(float64(*n))
	default:
		t.Fatalf("a %s is of a kind that this test does not know", v.Type())
	}
}

// Whatever the state has, the next image reads it as it was: a field that is added is
// not forgotten on the way.
func TestTheStateIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	var want, got state
	fill(t, reflect.ValueOf(&want).Elem(), new(int64))
	text, err := json.Marshal(want)
	must(t, err)
	must(t, json.Unmarshal(text, &got))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	var none state
	text, err = json.Marshal(state{})
	must(t, err)
	must(t, json.Unmarshal(text, &none))
	if !reflect.DeepEqual(none, state{}) {
		t.Errorf("nothing has become %+v", none)
	}
}

// All that the state names go with the exec, each once, and none of those that every
// process has.
func TestTheStateNamesItsDescriptors(t *testing.T) {
	t.Parallel()
	s := state{Program: programState{FD: 20}, Control: sockets.State{FD: 21}, PIDFile: &pidFileState{FD: 22},
		Output:    outputState{First: [2]int{23, 24}, File: 25, Logger: &loggerState{In: 26, Read: 27, Out: 28, Command: 29}},
		Listeners: []listenerState{{Socket: sockets.State{FD: 31}}, {Socket: sockets.State{FD: 30}}},
		Children:  []childState{{Pipe: 32, Command: 33, Notify: 34}, {Pipe: -1, Command: -1}},
		Change:    &changeState{Waiters: []int{35, 36}}, Queued: &changeState{Waiters: []int{37, 20}}}
	var want []int
	for fd := 20; fd <= 37; fd++ {
		want = append(want, fd)
	}
	if got := s.descriptors(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	none := state{Program: programState{FD: -1}, Output: outputState{First: [2]int{0, 2}, File: -1}}
	if got := none.descriptors(); len(got) != 0 {
		t.Errorf("nothing has %v", got)
	}
}

// duplicate is another descriptor of the same, which ends with the test.
func duplicate(t *testing.T, fd int) int {
	t.Helper()
	other, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(other) })
	return other
}

// A master that is made of the state of another one writes the same down again.
func TestAMasterGoesOnAsItWas(t *testing.T) {
	t.Parallel()
	m := idleMaster(t)
	m.started, m.binary, m.sentAway, m.pipeJunk, m.spawnFail = true, "/bin/fugue", 3, 4, 5
	m.output.writer.lost.Store(6)
	m.lastReload = &control.Reload{Kind: reload, Result: "failed", Reason: "one\ntwo"}
	m.incidents.add(control.Incident{ID: "a", Outcome: "open"})
	umask := 0o27
	m.gen.App = App{Argv: []string{"app", "-x"}, Path: "/bin/app"}
	m.gen.Env, m.gen.Umask, m.gen.Limits.MaxAge, m.gen.House.PIDPath = []string{"A=1"}, &umask, time.Hour, "/run/pid"
	plan := mustPlan(t, nil, at("127.0.0.1:0"), config.Listener{Address: "unix:" + filepath.Join(t.TempDir(), "socket"), Name: "web", Backlog: 9})
	m.gen.listeners = plan.list
	theirs, ours := waiterPair(t)
	_ = theirs
	m.queued = &change{kind: upgrade, waiters: []*control.Waiter{ours}}

	want := m.save(&change{kind: reload})
	text, err := json.Marshal(want)
	must(t, err)
	var read state
	must(t, json.Unmarshal(text, &read))
	for i := range read.Listeners { // in another process they would be the same numbers
		read.Listeners[i].Socket.FD = duplicate(t, read.Listeners[i].Socket.FD)
	}
	next := &master{children: map[int]*child{}}
	must(t, next.restore(read))
	defer next.output.writer.close()
	for i, l := range next.listeners {
		if !l.Reachable() || l.asked != plan.list[i].asked || !reflect.DeepEqual(l.options, plan.list[i].options) || l.Name() != plan.list[i].Name() {
			t.Errorf("listener %s is %+v, was %+v", l.Address(), l, plan.list[i])
		}
	}
	next.binary = read.Binary // takeOver does it
	got := next.save(next.change)
	got.Pool.Now, want.Pool.Now = 0, 0
	for i := range got.Listeners {
		want.Listeners[i].Socket.FD = got.Listeners[i].Socket.FD
	}
	was, err := json.Marshal(want)
	must(t, err)
	is, err := json.Marshal(got)
	must(t, err)
	if string(is) != string(was) {
		t.Errorf("it is\n%s, was\n%s", is, was)
	}
}

func TestAStateThatCannotBe(t *testing.T) {
	t.Parallel()
	good := idleMaster(t).save(nil)
	for name, c := range map[string]struct {
		spoil func(*state)
		why   string
	}{
		"nothing":       {func(s *state) { *s = state{} }, "not whole"},
		"no generation": {func(s *state) { s.Generation = nil }, "not whole"},
		"another one":   {func(s *state) { s.Pool.Generation++ }, "not whole"},
		"a closed log":  {func(s *state) { s.Output.File = 9999 }, "descriptor 9999 of the log files: bad file descriptor"},
		"no control":    {func(s *state) { s.Control.FD = 9999 }, "descriptor 9999"},
		"another listener": {func(s *state) {
			s.Listeners = []listenerState{{Socket: sockets.State{FD: s.Control.FD, Network: "tcp", Address: "127.0.0.1:1"}}}
		}, "127.0.0.1:1"},
		"no pid file": {func(s *state) { s.PIDFile = &pidFileState{Path: "/run/pid", FD: 9999} }, "pid file /run/pid"},
	} {
		s := good
		c.spoil(&s)
		if err := (&master{}).restore(s); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", name, err, c.why)
		}
	}
}

// idleMaster has what every master has, and no loop.
func idleMaster(t *testing.T) *master {
	t.Helper()
	l, err := sockets.Listen(sockets.Address{Network: "unix", Path: filepath.Join(t.TempDir(), "control")}, sockets.Options{Owner: -1, Group: -1})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	limits := pool.Limits{Workers: 2, Surge: 1, Boot: time.Minute, Drain: time.Second}
	o := &output{set: logSettings{Format: "text"}, file: -1, first: [2]int{1, 2}, stdout: 1, stderr: 2, writer: newLineWriter(writerFunc(func(p []byte) (int, error) { return len(p), nil }))}
	t.Cleanup(o.writer.close)
	o.log = newLogger(o.set, o.writer)
	m := &master{log: o.log, output: o, start: time.Now(), timer: time.NewTimer(time.Hour), children: map[int]*child{},
		reports: make(chan prepared), events: make(chan event, 8), controlSocket: l, pool: pool.New(limits),
		gen: &generation{Number: 1, Limits: limits, Workers: 2, program: program{fd: -1}, House: house{Logs: o.set}}}
	m.setListeners(nil)
	return m
}

// waiterPair is a client that waits, as it sees itself and as the loop does.
func waiterPair(t *testing.T) (client net.Conn, w *control.Waiter) {
	t.Helper()
	ours, theirs, err := socketpair()
	must(t, err)
	client = connOf(t, theirs)
	return client, control.RestoreWaiter(ours)
}
