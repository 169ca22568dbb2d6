package sdnotify

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestWithoutASupervisorNothingHappens(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"", "/", "@", "relative", "vsock:2:1234", "/" + strings.Repeat("x", maxPath)} {
		s := New(func(string) string { return addr }, 1)
		if s != nil {
			t.Errorf("%q is taken", addr)
		}
		s.Ready("x")
		s.Reloading("x")
		s.Status("x")
		s.Stopping("x")
		s.Watchdog()
		s.Retry()
		if s.WatchdogEvery() != 0 || s.Waiting() || s.Dropped() != 0 {
			t.Error("nil has something to say")
		}
	}
}

func TestWatchdogEvery(t *testing.T) {
	t.Parallel()
	const pid = 4711
	for name, c := range map[string]struct {
		usec, of string
		want     time.Duration
	}{
		"not asked for":       {"", "", 0},
		"for anybody":         {"30000000", "", 15 * time.Second},
		"for us":              {"3", "4711", 1500 * time.Nanosecond},
		"for another":         {"30000000", "4712", 0},
		"for nobody readable": {"30000000", "x", 0},
		"zero":                {"0", "", 0},
		"negative":            {"-1", "", 0},
		"not a number":        {"30s", "", 0},
		"without end":         {"18446744073709551615", "", 0},
		"no duration of Go's": {"9223372036854776", "", 0},
		"the longest":         {"9223372036854775", "", 9223372036854775 * time.Microsecond / 2},
	} {
		vars := map[string]string{"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": c.usec, "WATCHDOG_PID": c.of}
		s := New(func(name string) string { return vars[name] }, pid)
		if got := s.WatchdogEvery(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestStatusIsOneHarmlessLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2 workers":           "2 workers",
		"a\nMAINPID=1\r\n":    "a MAINPID=1  ",
		"\x1b[2Jx\x00y\u0085": " [2Jx y ",
		"a\u2028b\u202ec":     "a b c",
		"größer \xff!":        "größer \ufffd!",
	} {
		if got := harmless(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestLongStatusIsCutBetweenLetters(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("x", maxStatus), strings.Repeat("ö", maxStatus), "a" + strings.Repeat("€", 9*maxStatus), strings.Repeat("\xffa", 1<<20)} {
		got := harmless(text)
		if len(got) > maxStatus || len(got) < maxStatus-4 || !utf8.ValidString(got) || strings.HasSuffix(got, "…") == (got == text) {
			t.Errorf("%d bytes become %d: …%q", len(text), len(got), got[len(got)-8:])
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add("a\nb")
	f.Add(strings.Repeat("ö\xff", maxStatus))
	f.Fuzz(func(t *testing.T, text string) {
		got := harmless(text)
		if len(got) > maxStatus || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\x00\x1b") {
			t.Errorf("%q", got)
		}
	})
}
