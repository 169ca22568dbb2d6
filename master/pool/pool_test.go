package pool

import (
	"testing"
	"time"
)

// filledPool returns a pool of n ready workers with pids 101, 102 …
func filledPool(n int) *Pool {
	p := New(Limits{Workers: n, Surge: 1, Boot: time.Minute, Silence: 10 * time.Second, Drain: time.Second})
	p.Step(0, Event{Kind: Ticked})
	for slot := 1; slot <= n; slot++ {
		p.Step(0, Event{Kind: Spawned, Slot: slot, Gen: 1, PID: 100 + slot})
		p.Step(0, Event{Kind: ReadySaid, PID: 100 + slot})
	}
	return p
}

func TestBeatAllocatesNothing(t *testing.T) {
	p, now := filledPool(8), time.Second
	if got := testing.AllocsPerRun(1000, func() {
		now += time.Millisecond
		p.Step(now, Event{Kind: BeatHeard, PID: 105, Beat: Beat{InFlight: 3}})
	}); got != 0 {
		t.Errorf("a beat costs %v allocations, want none", got)
	}
}

func TestStatusShowsEachProcess(t *testing.T) {
	t.Parallel()
	p := filledPool(2)
	p.Step(time.Second, Event{Kind: BeatHeard, PID: 102, Beat: Beat{InFlight: 3, Requests: 9}})
	p.Step(2*time.Second, Event{Kind: ScaleAsked, N: 1})
	s := p.Status()
	if s.Wanted != 1 || p.Ready() != 1 || len(s.Workers) != 2 || s.Spawned != 2 {
		t.Fatalf("status %+v", s)
	}
	if w := s.Workers[1]; w.Slot != 2 || w.PID != 102 || w.Phase != Draining || w.Beat.InFlight != 3 {
		t.Errorf("second worker %+v", w)
	}
	p.Step(3*time.Second, Event{Kind: Exited, PID: 102})
	if got := p.Status().Exits["scale"]; got != 1 {
		t.Errorf("%d exits counted for scale, want 1", got)
	}
}

func TestEveryConstantHasItsName(t *testing.T) {
	t.Parallel()
	if len(kindNames) != int(Measured)+1 || len(doNames) != int(TellAborted)+1 ||
		len(phaseNames) != int(Killed)+1 || len(causeNames) != int(causes) {
		t.Error("a table of names and its constants differ in length")
	}
}

func TestNothingHappensAfterExit(t *testing.T) {
	t.Parallel()
	p := New(Limits{Workers: 0, Surge: 1})
	if got := p.Step(0, Event{Kind: StopAsked}); len(got) != 1 || got[0].Do != Exit {
		t.Fatalf("stop of an empty pool: %v", got)
	}
	if got := p.Step(1, Event{Kind: ScaleAsked, N: 3}); got != nil {
		t.Errorf("effects after the end: %v", got)
	}
	if _, any := p.Deadline(); any {
		t.Error("a deadline after the end")
	}
}

func BenchmarkStepBeat(b *testing.B) {
	p, now := filledPool(64), time.Second
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now += time.Microsecond
		p.Step(now, Event{Kind: BeatHeard, PID: 101 + i%64})
	}
}

// Whoever sleeps until Deadline has to be told when a beat makes it earlier: the
// first one, which makes a worker's silence count.
func TestFirstBeatBringsTheDeadlineNearer(t *testing.T) {
	t.Parallel()
	p := New(Limits{Workers: 1, Surge: 1, Boot: time.Minute, Silence: 10 * time.Second})
	p.Step(0, Event{Kind: Ticked})
	p.Step(0, Event{Kind: Spawned, Slot: 1, Gen: 1, PID: 101})
	p.Step(time.Second, Event{Kind: ReadySaid, PID: 101})
	if at, any := p.Deadline(); any {
		t.Errorf("a worker that has not beaten yet is judged at %s", at)
	}
	for i, want := range []bool{true, false} {
		p.Step(2*time.Second, Event{Kind: BeatHeard, PID: 101})
		if p.Nearer() != want {
			t.Errorf("beat %d: nearer is %v", i+1, p.Nearer())
		}
		if at, _ := p.Deadline(); at != 12*time.Second {
			t.Errorf("beat %d: deadline at %s", i+1, at)
		}
	}
}
