package httpwatch

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzParseProfile: whatever the text is, nothing panics, no stack is longer
// than it may, and none belongs to a name that is not in the text.
func FuzzParseProfile(f *testing.F) {
	f.Add("1 @ 0x1\n# labels: {\"fugue.request\":\"17\"}\n#\t0x1\tmain.stuck+0x20\t/src/main.go:10\n\n")
	f.Add("2 @ 0x1\n# labels: {\"a\":\"}\", \"fugue.request\":\"1\\\"\"}\n#\t0x1\tmain.f[...]+0x2\t/x y/m.go:1\n#\t\n#\t0x1\n")
	f.Add("# labels: {\"fugue.request\":\"\n\n @ \n\n#\t\t\t\t")
	f.Fuzz(func(t *testing.T, text string) {
		for name, stack := range parseProfile(text) {
			if !strings.Contains(text, `"`+labelKey+`":"`+name+`"`) {
				t.Errorf("%q is not there", name)
			}
			if len(stack) > maxStack+len("…\n") {
				t.Errorf("a stack of %d bytes", len(stack))
			}
		}
	})
}

// FuzzTable plays a sequence of entering, leaving, waiting, new limits and time
// that passes against a model.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 0, 5, 99, 5, 99})
	f.Add([]byte{0, 3, 0, 5, 90, 4, 0, 5, 90, 1, 0})
	f.Add([]byte{0, 0, 2, 0, 200, 6, 1, 2, 0, 10, 5, 50, 1, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 400 {
			return
		}
		synctest.Test(t, func(t *testing.T) { play(t, ops) })
	})
}

// The same with random sequences, in each run of the tests.
func TestTableAgainstModel(t *testing.T) {
	t.Parallel()
	for range 200 {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		ops := make([]byte, 200)
		for i := range ops {
			ops[i] = byte(random.Uint32())
		}
		synctest.Test(t, func(t *testing.T) {
			play(t, ops)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}

const modelLimit = 100 * time.Millisecond

// model is one request as it should be.
type model struct {
	request *request
	start   time.Time
	limit   time.Duration // 0 = none
	waited  time.Duration
	waiting time.Time // since when; zero = it does not
	overdue bool
}

func (m *model) active(now time.Time) time.Duration {
	d := now.Sub(m.start) - m.waited
	if !m.waiting.IsZero() {
		d -= now.Sub(m.waiting)
	}
	return d
}

type game struct {
	watch *Watch
	live  []*model
	bytes []byte
}

// next is the next byte of the sequence, 0 after its end.
func (g *game) next() (b byte) {
	if len(g.bytes) > 0 {
		b, g.bytes = g.bytes[0], g.bytes[1:]
	}
	return b
}

func play(t *testing.T, ops []byte) {
	g := &game{watch: New(Options{Timeout: modelLimit}), bytes: ops}
	for len(g.bytes) > 0 && !t.Failed() {
		g.move()
		time.Sleep(time.Microsecond)
		synctest.Wait()
		g.age()
		g.check(t)
	}
}

// move does what the next bytes say.
func (g *game) move() {
	op := g.next() % 8
	if op == 5 {
		time.Sleep(time.Duration(g.next()) * time.Millisecond)
		return
	}
	if op == 0 || len(g.live) == 0 {
		task := g.watch.Begin(context.Background(), "x")
		g.live = append(g.live, &model{request: task.request, start: time.Now(), limit: modelLimit})
		return
	}
	i := int(g.next()) % len(g.live)
	m := g.live[i]
	switch op {
	case 1:
		(&Task{m.request}).Done()
		g.live = append(g.live[:i], g.live[i+1:]...)
	case 2, 6:
		g.setLimit(m, time.Duration(1+int(g.next()))*time.Millisecond)
	case 7:
		g.setLimit(m, 0)
	case 3:
		m.request.beginWait(&m.request.reading)
		if m.waiting.IsZero() {
			m.waiting = time.Now()
		}
	case 4:
		m.request.endWait(&m.request.reading)
		if !m.waiting.IsZero() {
			m.waited += time.Since(m.waiting)
			m.waiting = time.Time{}
		}
	}
}

func (g *game) setLimit(m *model, d time.Duration) {
	(&Task{m.request}).SetTimeout(d)
	if !m.overdue {
		m.limit = d
	}
}

// age finds the overdue ones of the model.
func (g *game) age() {
	for _, m := range g.live {
		m.overdue = m.overdue || m.limit > 0 && m.active(time.Now()) >= m.limit
	}
}

func (g *game) check(t *testing.T) {
	want, due := Snapshot{InFlight: len(g.live)}, time.Duration(-1)
	for _, m := range g.live {
		if m.overdue {
			want.Stuck++
		}
		if m.overdue != m.request.overdue {
			t.Errorf("overdue: %v, should be %v, active for %s of %s", m.request.overdue, m.overdue, m.active(time.Now()), m.limit)
		}
		if m.limit > 0 || m.overdue {
			want.Oldest = max(want.Oldest, time.Since(m.start))
		}
		if left := m.limit - m.active(time.Now()); m.limit > 0 && !m.overdue && m.waiting.IsZero() && (due < 0 || left < due) {
			due = left
		}
	}
	got := g.watch.Snapshot()
	if got.InFlight != want.InFlight || got.Stuck != want.Stuck || got.Oldest != want.Oldest {
		t.Errorf("%+v, should be %+v", got, want)
	}
	if due >= 0 && (got.Due < 0 || got.Due > due) {
		t.Errorf("due in %s, should be at most %s", got.Due, due)
	}
	g.watch.table.check(t)
}

// check says whether the lists and the heap are what they should be.
func (t *table) check(tt *testing.T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.all.check(tt, byStart) + t.exempt.check(tt, byStart); n != t.inFlight {
		tt.Errorf("%d in the lists, %d in flight", n, t.inFlight)
	}
	for _, c := range t.limits {
		c.queue.check(tt, byLimit)
		for r := c.queue.head; r != nil; r = r.links[byLimit].next {
			if r.class != c || r.overdue || !r.inTable || r.movedAt > 0 || r.parked.Load() {
				tt.Errorf("in the queue of %d: %+v", c.limit, r)
			}
		}
	}
	for i, r := range t.moved {
		if r.movedAt != i+1 || r.class != nil || r.overdue || !r.inTable || r.parked.Load() {
			tt.Errorf("at %d of the heap: %+v", i, r)
		}
		if i > 0 && t.moved[(i-1)/2].due > r.due {
			tt.Errorf("the heap is out of order at %d", i)
		}
	}
}

// check walks q in both directions and returns how many are in it.
func (q *queue) check(t *testing.T, by int) (n int) {
	var last *request
	for r := q.head; r != nil; r = r.links[by].next {
		if r.links[by].prev != last || last != nil && last.start > r.start {
			t.Error("a list is broken or out of order")
		}
		last = r
		n++
	}
	if q.tail != last {
		t.Error("a list ends elsewhere")
	}
	return n
}
