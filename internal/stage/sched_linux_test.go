package stage

import (
	"runtime"
	"strings"
	"testing"
)

const schedIdle = 5

func TestTheSchedulingPolicy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		launcher int
		sched    string
		want     string
	}{
		{"left alone", schedOther, "", "0"},
		{"auto", schedOther, SchedAuto, "3"},
		{"auto of a launcher that has chosen", schedIdle, SchedAuto, "5"},
		{"batch", schedOther, SchedBatch, "3"},
		{"other of a batch launcher", schedBatch, SchedOther, "0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			runtime.LockOSThread() // for good: a child has the policy of the thread that starts it
			if err := setPolicy(tc.launcher); err != nil {
				t.Fatal(err)
			}
			argv := []string{"sh", "-c", `cut -d ' ' -f 41 /proc/self/stat`} // proc_pid_stat(5): policy
			out, said, err := enter(t, Order{Sched: tc.sched, Argv: argv})
			if err != nil || strings.TrimSpace(out) != tc.want {
				t.Errorf("policy %q, want %s (%v, said %q)", strings.TrimSpace(out), tc.want, err, said)
			}
		})
	}
}
