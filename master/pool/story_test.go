package pool

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the stories with what happens now")

// TestStories replays testdata/*.txt. A line that starts with a time is an
// event, the indented lines under it are the effects; `-update` rewrites them.
// A spawn is answered at once with the next pid of its slot (101, 102 … for
// slot 1) unless `spawns-fail why=…` was said before. `TIME until` steps through
// every deadline up to that time.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tell(string(want))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("the story goes differently now; it reads\n%s", got)
			}
		})
	}
}

type story struct {
	pool   *Pool
	pids   map[int]int // next pid of a slot
	broken string      // why spawns fail, "" when they do not
	out    strings.Builder
}

func tell(script string) (string, error) {
	s := &story{pids: map[int]int{}}
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "  ") {
			continue // an effect; it is told anew
		}
		fmt.Fprintln(&s.out, line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := s.play(strings.Fields(line)); err != nil {
			return "", fmt.Errorf("%q: %w", line, err)
		}
	}
	return s.out.String(), lines.Err()
}

func (s *story) play(words []string) error {
	args := arguments(words)
	switch words[0] {
	case "limits":
		s.pool = New(args.limits())
		return nil
	case "spawns-fail":
		s.broken = strings.ReplaceAll(args["why"], "_", " ")
		return nil
	}
	now, err := time.ParseDuration(words[0])
	if err != nil {
		return err
	}
	if words[1] == "until" {
		s.until(now)
		return nil
	}
	return s.event(now, words[1], args)
}

func (s *story) event(now time.Duration, kind string, args args) error {
	for k, name := range kindNames {
		if name == kind {
			s.step(now, args.event(Kind(k)))
			return nil
		}
	}
	return fmt.Errorf("no event %q", kind)
}

func (s *story) until(end time.Duration) {
	for range 1000 {
		at, any := s.pool.Deadline()
		if !any || at > end {
			return
		}
		mark := s.out.Len()
		s.step(at, Event{Kind: Ticked})
		if told := s.out.String()[mark:]; told != "" {
			rest := s.out.String()[:mark]
			s.out.Reset()
			fmt.Fprintf(&s.out, "%s  at %s\n%s", rest, at, told)
		}
	}
	fmt.Fprintln(&s.out, "  !! a thousand deadlines")
}

func (s *story) step(now time.Duration, ev Event) {
	for _, e := range append([]Effect(nil), s.pool.Step(now, ev)...) {
		s.perform(now, e)
	}
	s.pool.Deadline()
}

func (s *story) perform(now time.Duration, e Effect) {
	if e.Do != Spawn {
		fmt.Fprintf(&s.out, "  %s\n", text(e))
		return
	}
	if s.broken != "" {
		fmt.Fprintf(&s.out, "  spawn slot=%d fails\n", e.Slot)
		s.step(now, Event{Kind: SpawnFailed, Slot: e.Slot, Gen: e.Gen, Why: s.broken})
		return
	}
	s.pids[e.Slot]++
	pid := e.Slot*100 + s.pids[e.Slot]
	fmt.Fprintf(&s.out, "  spawn slot=%d pid=%d%s\n", e.Slot, pid, later(e.Gen))
	s.step(now, Event{Kind: Spawned, Slot: e.Slot, Gen: e.Gen, PID: pid})
}

func text(e Effect) string {
	b := e.Do.String()
	switch e.Do {
	case Exit:
		b += fmt.Sprintf(" code=%d", e.Code)
	case TellCommitted, TellRolled, TellAborted:
		b += fmt.Sprintf(" gen=%d", e.Gen)
	default:
		b += fmt.Sprintf(" slot=%d", e.Slot)
	}
	if e.PID != 0 {
		b += fmt.Sprintf(" pid=%d", e.PID)
	}
	if e.After != 0 {
		b += fmt.Sprintf(" after=%s", e.After)
	}
	if e.Cause != None {
		b += fmt.Sprintf(" cause=%s", e.Cause)
	}
	if e.Why != "" {
		b += fmt.Sprintf(" why=%q", e.Why)
	}
	return b
}

// later tells of a generation after the first one.
func later(gen int) string {
	if gen == 1 {
		return ""
	}
	return fmt.Sprintf(" gen=%d", gen)
}

type args map[string]string

func arguments(words []string) args {
	a := args{}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		a[key] = value
	}
	return a
}

func (a args) number(key string) int {
	n, _ := strconv.Atoi(a[key])
	return n
}

func (a args) event(k Kind) Event {
	_, quick := a["quick"]
	n := a.number("n")
	var limits *Limits
	if k == ReloadAsked {
		l := a.limits()
		limits, n = &l, -1
		if _, wish := a["wish"]; wish {
			n = a.number("wish")
		}
	}
	_, redo := a["redo"]
	return Event{Redo: redo, Limits: limits, Beat: Beat{Requests: uint64(a.number("requests"))}, Kind: k, ID: a["id"], Slot: a.number("slot"), PID: a.number("pid"), N: n, Quick: quick,
		Code: a.number("code"), Signal: a.number("signal"), Why: strings.ReplaceAll(a["why"], "_", " ")}
}

func (a args) limits() Limits {
	span := func(key, otherwise string) time.Duration {
		if v, ok := a[key]; ok {
			otherwise = v
		}
		d, err := time.ParseDuration(otherwise)
		if err != nil {
			panic(err)
		}
		return d
	}
	return Limits{Workers: a.number("workers"), Surge: max(1, a.number("surge")), Boot: span("boot", "60s"),
		Silence: span("silence", "10s"), Drain: span("drain", "30s"), Grace: span("grace", "5s"), Alive: span("alive", "0s"), Word: a["word"] != "no", Staged: a["staged"] == "yes",
		Delay: span("delay", "0s"), MaxAge: span("age", "0s"), MaxRequests: uint64(a.number("requests")), Jitter: uint64(a.number("jitter")), MaxMemory: int64(a.number("memory"))}
}
