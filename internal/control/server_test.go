package control

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
)

func running() *Answer {
	return &Answer{Status: Status{
		State: "running", WorkersWanted: 2, PID: 7,
		Listeners: []Listener{{Address: "127.0.0.1:8080"}},
		Workers:   []Worker{{ID: 1, PID: os.Getpid(), State: "ready"}},
	}}
}

func TestStatusFillsInWhatTheLoopDoesNotKnow(t *testing.T) {
	t.Parallel()
	st, err := startLoop(t, running()).client(t).Status()
	must(t, err)
	if l := st.Listeners[0]; l.Queue != 3 || l.Backlog != 128 {
		t.Errorf("listener: %+v, want queue 3 of 128", l)
	}
	if runtime.GOOS == "linux" && st.Workers[0].RSSBytes < 1<<20 {
		t.Errorf("worker: %+v, want its memory", st.Workers[0])
	}
	if st.PID != 7 || st.State != "running" {
		t.Errorf("got %+v", st)
	}
}

func TestStatusHasListsWhereThereIsNothing(t *testing.T) {
	t.Parallel()
	_, body := startLoop(t, &Answer{}).raw(t, request11("GET", "/status", ""))
	for _, want := range []string{`"listeners":[]`, `"workers":[]`, `"exits":{}`, `"last_reload":null`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
}

func TestTheClientsWishesReachTheLoop(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	c := l.client(t)
	asked := func(err error) Ask {
		must(t, err)
		a := await(t, "ask", l.heard)
		a.reply = nil
		return a
	}
	now, err := c.Scale(0)
	if a := asked(err); a != (Ask{Kind: AskScale}) || now != 2 {
		t.Errorf("scale 0: %+v, %d", a, now)
	}
	_, err = c.ScaleBy(-3)
	if a := asked(err); a != (Ask{Kind: AskScaleBy, N: -3}) {
		t.Errorf("scale by -3: %+v", a)
	}
	if a := asked(c.ReopenLogs()); a != (Ask{Kind: AskReopenLogs}) {
		t.Errorf("reopen: %+v", a)
	}
}

func TestARefusalOfTheLoopReachesTheClient(t *testing.T) {
	t.Parallel()
	l := startLoop(t, &Answer{Refused: "the server is stopping"})
	_, err := l.client(t).Scale(3)
	if err == nil || err.Error() != "the server is stopping" {
		t.Errorf("got %v", err)
	}
	if resp, _ := l.raw(t, request11("POST", "/scale", `{"by":1}`)); resp.StatusCode != http.StatusConflict {
		t.Errorf("got %s, want 409", resp.Status)
	}
}

var wrongRequests = []struct {
	name, method, path, body string
	code                     int
	text                     string
}{
	{"unknown path", "GET", "/debug/pprof/", "", 404, `there is no "/debug/pprof/" here, but: GET /status`},
	{"path of the next version", "GET", "/metrics", "", 404, "POST /reopen-logs"},
	{"get to reload", "GET", "/reload", "", 405, "/reload takes POST only"},
	{"get to change", "GET", "/scale", "", 405, "/scale takes POST only"},
	{"post to read", "POST", "/status", "", 405, "/status takes GET only"},
	{"scale: nothing", "POST", "/scale", "", 400, `not a JSON object: write {"workers": N} or {"by": K}`},
	{"scale: neither", "POST", "/scale", "{}", 400, "nothing is asked for"},
	{"scale: both", "POST", "/scale", `{"workers":1,"by":1}`, 400, "exclude each other"},
	{"scale: null is not zero", "POST", "/scale", `{"workers":null}`, 400, "nothing is asked for"},
	{"scale: string", "POST", "/scale", `{"workers":"4"}`, 400, `"workers" cannot be a string`},
	{"scale: fraction", "POST", "/scale", `{"by":1.5}`, 400, `"by" cannot be a number 1.5`},
	{"scale: huge", "POST", "/scale", `{"by":99999999999999999999}`, 400, `"by" cannot be`},
	{"scale: too many", "POST", "/scale", `{"workers":1025}`, 400, "may be 0 to 1024"},
	{"scale: negative", "POST", "/scale", `{"workers":-1}`, 400, "may be 0 to 1024"},
	{"scale: by too many", "POST", "/scale", `{"by":-1025}`, 400, "may be -1024 to 1024"},
	{"scale: misspelt", "POST", "/scale", `{"worker":1}`, 400, `unknown field "worker"`},
	{"scale: list", "POST", "/scale", `[4]`, 400, "not a JSON object"},
	{"scale: null", "POST", "/scale", `null`, 400, "not a JSON object"},
	{"scale: two objects", "POST", "/scale", `{"by":1}{"by":1}`, 400, "more than one JSON object"},
	{"scale: cut off", "POST", "/scale", `{"by":`, 400, "not complete"},
	{"scale: deep", "POST", "/scale", `{"by":` + strings.Repeat("[", 20000), 400, "depth"},
	{"stop: string", "POST", "/stop", `{"quick":"yes"}`, 400, `"quick" cannot be a string`},
	{"stop: unknown", "POST", "/stop", `{"fast":true}`, 400, `unknown field "fast"`},
	{"reopen: with words", "POST", "/reopen-logs", `{"now":true}`, 400, `unknown field "now"`},
	{"reload: with words", "POST", "/reload", `{"quick":true}`, 400, `unknown field "quick"`},
	{"upgrade: with words, and waiting", "POST", "/upgrade?wait=1", `[]`, 400, "not a JSON object"},
	{"too large", "POST", "/scale", strings.Repeat(" ", maxBody+1), 413, "65536 bytes"},
}

func TestWrongRequestsAreRefusedWithASentence(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	for _, c := range wrongRequests {
		t.Run(c.name, func(t *testing.T) {
			resp, body := l.raw(t, request11(c.method, c.path, c.body))
			if resp.StatusCode != c.code {
				t.Errorf("got %s, want %d", resp.Status, c.code)
			}
			if allow := resp.Header.Get("Allow"); (allow != "") != (c.code == 405) {
				t.Errorf("Allow is %q", allow)
			}
			wantError(t, body, c.text)
		})
	}
	if n := len(l.heard); n != 0 {
		t.Errorf("the loop heard of %d", n)
	}
}

func TestEmptyBodiesAreEnoughWhereNothingHasToBeSaid(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	for _, c := range []struct{ path, body string }{{"/stop", ""}, {"/stop", "{}"}, {"/stop", `{"quick":true}`}, {"/reopen-logs", "\n"}, {"/reload", ""}, {"/reload?wait=yes", "{}"}, {"/upgrade", "{}"}} {
		resp, body := l.raw(t, request11("POST", c.path, c.body))
		if resp.StatusCode != 200 || body != `{"ok":true}`+"\n" {
			t.Errorf("%s %q: %s %s", c.path, c.body, resp.Status, body)
		}
		if a := await(t, "ask", l.heard); a.Quick != strings.Contains(c.body, "true") {
			t.Errorf("%q: %+v", c.body, a)
		}
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state, worker string
		code          int
		text          string
	}{
		{"running", "ready", 200, ""},
		{"reloading", "ready", 200, ""},
		{"starting", "starting", 503, "no worker is ready"},
		{"running", "draining", 503, "no worker is ready"},
		{"stopping", "ready", 503, "stopping"},
	} {
		t.Run(fmt.Sprint(c.state, " ", c.worker), func(t *testing.T) {
			t.Parallel()
			l := startLoop(t, &Answer{Status: Status{State: c.state, Workers: []Worker{{State: c.worker}}}})
			resp, body := l.raw(t, request11("GET", "/readyz", ""))
			if resp.StatusCode != c.code {
				t.Errorf("got %s, want %d", resp.Status, c.code)
			}
			if c.code != 200 {
				wantError(t, body, c.text)
			}
			if resp, body = l.raw(t, request11("GET", "/healthz", "")); resp.StatusCode != 200 || body != `{"ok":true}`+"\n" {
				t.Errorf("healthz: %s %s", resp.Status, body)
			}
		})
	}
}

func TestAStuckLoopIsReported(t *testing.T) {
	t.Parallel()
	l := startLoop(t, nil)
	resp, body := l.raw(t, request11("GET", "/healthz", ""))
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %s, want 503", resp.Status)
	}
	wantError(t, body, "has not answered within 1s")
}

func FuzzBodies(f *testing.F) {
	for _, c := range wrongRequests {
		f.Add([]byte(c.body))
	}
	f.Add([]byte(`{"workers":4}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		kind, n, err := readScale(body)
		if err == nil && (n > maxWorkers || n < -maxWorkers || kind == AskScale && n < 0) {
			t.Errorf("%q was taken for %d", body, n)
		}
		if _, err := readStop(body); err != nil && err.(failure).code != http.StatusBadRequest {
			t.Errorf("%q: %v", body, err)
		}
	})
}
