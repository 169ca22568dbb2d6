package integration

import (
	"syscall"
	"testing"
)

// Who sets the number of workers while a reload is under way has the last word,
// whatever the file says and whomever WINCH has sent away before.
func TestScaleDuringReload(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(d *deployment){
		"the file has another number": func(d *deployment) { d.edit("workers = 2", "workers = 3") },
		"all were sent away":          func(d *deployment) { d.signal(syscall.SIGWINCH); d.waitWorkers(0) },
		"nothing else":                func(*deployment) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 2\n", "")
			d.waitWorkers(2)
			begin(d)
			d.ok("reload", func() {
				d.hup()
				eventually(t, "the reload is under way", func() bool {
					st := d.status()
					return st.State == "reloading" && len(st.Workers) > 0 && st.Workers[len(st.Workers)-1].Generation == 2 ||
						st.State == "reloading" && len(st.Workers) == 3
				})
				if code, text := d.post("/scale", `{"workers":4}`); code != 200 {
					t.Errorf("scale: %d %s", code, text)
				}
			})
			if got := d.status().WorkersWanted; got != 4 {
				t.Fatalf("4 workers were wished for during the reload, after it %d are", got)
			}
			d.settled(4)
		})
	}
}

// With no worker wished for there is nobody to try the new app on: a reload is
// done at once, an upgrade as soon as the new master runs. Who is started then is
// of the new version.
func TestReloadWithoutWorkers(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"reload", "upgrade"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, "workers = 2\n", "")
			d.post("/scale", `{"workers":0}`)
			d.waitWorkers(0)
			d.put(d.app, d.apps[1])
			d.put(d.master, d.masters[1])
			d.ok(verb, map[string]func(){"reload": d.hup, "upgrade": d.usr2}[verb])
			if st := d.status(); st.WorkersWanted != 0 || st.Generation != 2 {
				t.Errorf("%d workers are wished for, generation %d", st.WorkersWanted, st.Generation)
			}
			d.post("/scale", `{"workers":2}`)
			d.settled(2)
			d.answersWith(secondApp)
		})
	}
}
