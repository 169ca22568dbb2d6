package master

import (
	"fmt"
	"testing"

	"github.com/fugue-http/fugue/internal/control"
)

func TestIncidentsKeepTheLast(t *testing.T) {
	t.Parallel()
	var l incidents
	for i := range keptIncidents + 5 {
		l.add(control.Incident{ID: fmt.Sprint(i), PID: i % 2, Outcome: "open"})
	}
	list := l.newestFirst()
	if len(list) != keptIncidents || list[0].ID != "104" || list[99].ID != "5" {
		t.Fatalf("%d kept, from %s to %s", len(list), list[0].ID, list[len(list)-1].ID)
	}
	l.settle(0, "104", "recovered")
	l.settle(0, "", "killed")
	for _, in := range l.newestFirst() {
		want := map[bool]string{true: "killed", false: "open"}[in.PID == 0]
		if in.ID == "104" {
			want = "recovered"
		}
		if in.Outcome != want {
			t.Errorf("incident %s of pid %d is %s, want %s", in.ID, in.PID, in.Outcome, want)
		}
	}
	if list[0].Outcome != "open" {
		t.Error("a list that was handed out has changed")
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/plain\tpath": "/plain\tpath", "\x1b[2J": "?[2J", "a\nb\r": "a?b?", "\xff\x00": "??", "/größe/日本": "/größe/日本",
		"\u202eevil": "?evil",
	} {
		if got := control.Printable(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
