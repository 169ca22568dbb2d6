package worker

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/wire"
)

func TestInheritReadsTheEnvironmentOfAWorker(t *testing.T) {
	t.Parallel()
	l := newLink(t)
	in, err := inherit(environ{
		wire.EnvPipeFD: strconv.Itoa(l.near[0]), wire.EnvCommandFD: strconv.Itoa(l.near[1]),
		wire.EnvWorkerID: "3", wire.EnvGeneration: "7", wire.EnvListenPID: "42",
		wire.EnvSettings: `{"beat_every":250000000,"http":{"linger":0}}`,
	}.get, 42)
	check(t, err)
	if !in.master || in.id != 3 || in.generation != 7 || in.pipe != l.near[0] || in.command != l.near[1] {
		t.Errorf("read %+v", in)
	}
	s := in.settings
	if s.BeatEvery != 250*time.Millisecond || s.HTTP.Linger != 0 {
		t.Errorf("settings %+v: what the master says counts, zero too", s)
	}
	if s.DrainLimit != defaults.DrainLimit || s.HTTP.IdleTimeout != defaults.HTTP.IdleTimeout {
		t.Errorf("settings %+v: what it does not say has its default", s)
	}
}

func TestInheritRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	l := newLink(t)
	pipe := strconv.Itoa(l.near[0])
	for name, env := range map[string]environ{
		wire.EnvListenFDs + "=999999": {wire.EnvListenFDs: "999999"},
		wire.EnvListenFDs + `="-1"`:   {wire.EnvListenFDs: "-1"},
		wire.EnvListenFDs + `="x"`:    {wire.EnvListenFDs: "x"},
		wire.EnvListenPID + " is 41":  {wire.EnvListenPID: "41", wire.EnvPipeFD: pipe},
		wire.EnvWorkerID + `="two"`:   {wire.EnvWorkerID: "two", wire.EnvPipeFD: pipe},
		wire.EnvGeneration + `="-2"`:  {wire.EnvGeneration: "-2", wire.EnvPipeFD: pipe},
		wire.EnvSettings:              {wire.EnvSettings: "{", wire.EnvPipeFD: pipe},
	} {
		if _, err := inherit(env.get, 42); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: error %v does not name %s", env, err, name)
		}
	}
}

// A child of an app that does not speak the protocol has the variables, but not
// the descriptors.
func TestInheritOfAStrangersVariablesIsAlone(t *testing.T) {
	t.Parallel()
	regular, err := os.Open(os.DevNull)
	check(t, err)
	defer regular.Close()
	read, write, err := os.Pipe()
	check(t, err)
	defer read.Close()
	defer write.Close()
	for name, env := range map[string]environ{
		"nothing":         {},
		"not open":        {wire.EnvPipeFD: "1000000"},
		"no number":       {wire.EnvPipeFD: "x"},
		"standard output": {wire.EnvPipeFD: "1"},
		"no pipe":         {wire.EnvPipeFD: strconv.Itoa(int(regular.Fd()))},
		"a read end":      {wire.EnvPipeFD: strconv.Itoa(int(read.Fd()))},
		"another process": {wire.EnvListenPID: "41", wire.EnvListenFDs: "1"},
	} {
		in, err := inherit(env.get, 42)
		if err != nil || in.master || in.pipe != -1 || len(in.listeners) > 0 {
			t.Errorf("%s: %+v, %v; want a worker alone", name, in, err)
		}
	}
}

type environ map[string]string

func (e environ) get(name string) string { return e[name] }
