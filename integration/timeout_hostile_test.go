package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fugue-http/fugue/internal/control"
)

// evil has what moves a cursor, breaks a line, hides text or is no text: ESC, the
// C1 form of it, NUL, DEL, CR, LF, bidirectional overrides, line separators, a
// byte that is not UTF-8.
const evil = "<script>\x1b[2J\u009b31m\x00\x7f\r\ntime=2000-01-01T00:00:00.000Z level=ERROR msg=forged\u202e\u2066\u2028\u0085\ufeff\xff"

// lie is an overdue message of a worker that makes everything up.
func lie(t *testing.T, stack int) string {
	t.Helper()
	quoted := func(text string) string { // as encoding/json would, but the bad byte stays
		b, err := json.Marshal(strings.TrimSuffix(text, "\xff"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(b), `"`) + "\xff\""
	}
	return fmt.Sprintf(`{"type":"overdue","id":%s,"pid":1,"worker":99,"slot":99,"method":%[1]s,"path":%[1]s,"remote":%[1]s,"age_ms":9223372036854775807,"status":-99999,"stack":%s}`+"\n",
		quoted(evil), quoted(strings.Repeat("main.x"+evil+"\n", stack/len(evil)+1)))
}

// checkText finds what must not reach a terminal.
func checkText(t *testing.T, where, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is not UTF-8", where)
	}
	for i, r := range text {
		bad := r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff
		if bad {
			t.Errorf("%s has %U: %q", where, r, text[max(0, i-40):min(len(text), i+40)])
			return
		}
	}
}

// attacks are what a worker may try through its pipe. Each is written n times.
var attacks = []struct {
	what string
	n    int
	text string
}{
	{"garbage", 50, "\x00\x01\xff\x1b[2J garbage \x00\n\n\r\n{}\n[]\n{\"type\":7}\n"},
	{"half", 3, `{"type":"be`},
	{"megabyte", 2, strings.Repeat("x", 1<<20) + "\n"},
	{"deep", 2, strings.Repeat("[", 200_000) + "\n" + strings.Repeat(`{"type":`, 20_000) + "\n"},
	{"numbers", 5, `{"type":"beat","in_flight":-1}` + "\n" + `{"type":"beat","oldest_ms":1e999}` + "\n"},
	{"words", 20, `{"type":"hello"}` + "\n" + `{"type":"ready","commands":true}` + "\n" + `{"type":"weather"}` + "\n" + `{"type":"reopen"}` + "\n"},
	{"flood", 1500, `{"type":"beat","in_flight":9223372036854775807,"requests":18446744073709551615}` + "\n"},
}

// last comes after all attacks and shows that they have been heard. (Of the lies
// some may not be: the honest part of the worker beats on, and a line as long as
// a lie is not written in one piece.)
const last = "\n" + `{"type":"overdue","id":"last","path":"/last"}` + "\n"

// One worker tells nonsense and lies, as fast as it can. It can harm itself
// alone: the master stays small and quick, the other worker and its incidents
// are untouched, and nothing it said reaches a terminal or a log raw (F28, S11,
// S21, S22).
func TestHostileWorker(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\nmax_surge = 2\ntimeout = \"200ms\"\n[watch]\ngrace = \"60s\"\n"+unhurried+app())
	s.unclean = true // the forged lines look like errors
	workers := pids(s.waitWorkers(2))
	s.talk("GET", "/stuck?how=block")
	honest := s.incident("/stuck", "open") // and whoever has not got it is the villain
	rss := residentKiB(t, s.pid)

	villain := s.villain(honest.PID)
	for _, a := range attacks {
		villain(a.what, a.n, a.text)
	}
	villain("lies", 20, lie(t, 50<<10))
	_, number, _ := strings.Cut(honest.ID, "-")
	for _, id := range []string{number, honest.ID} { // it cannot speak for another
		villain("forged", 1, fmt.Sprintf(`{"type":"recovered","id":%q,"pid":%d,"worker":%d}`+"\n", id, honest.PID, honest.Worker))
	}
	villain("last", 1, last)
	slowest := s.watchUntil("path=/last ", 1)
	if n := s.log.count("msg=\"request overdue\""); n < 10 {
		t.Errorf("only %d lies were heard", n)
	}
	t.Logf("slowest status %s, master from %d to %d KiB", slowest, rss, residentKiB(t, s.pid))
	if limit := 2 * time.Second; slowest > limit {
		t.Errorf("status took %s", slowest)
	}
	if grown := residentKiB(t, s.pid) - rss; grown > 64<<10 && !raceEnabled {
		t.Errorf("the master has grown by %d KiB", grown)
	}
	if list := s.incidents(); !hasOpen(list, honest.ID) {
		t.Errorf("the incident of the honest worker has been settled by another: %+v", list[len(list)-1])
	}
	st := s.status()
	if st.Counters.PipeJunk == 0 || s.log.count("worker writes nonsense") != 1 {
		t.Errorf("counted %+v, %d lines", st.Counters, s.log.count("worker writes nonsense"))
	}
	s.noneReplaced(workers)
	s.checkShown()
}

// villain returns how to have the worker that is not honest shout. Which worker
// gets a request is chance, so it is asked over a connection that is known.
func (s *server) villain(honest int) func(what string, n int, text string) {
	var client *http.Client
	eventually(s.t, "the other worker has a connection", func() bool {
		client = &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: patience}
		return s.reply(client, "/pid", "") != strconv.Itoa(honest)
	})
	return func(what string, n int, text string) {
		if pid := s.reply(client, fmt.Sprintf("/shout?what=%s&n=%d", what, n), text); pid == strconv.Itoa(honest) {
			s.t.Errorf("the honest one has shouted %s", what)
		}
	}
}

// reply is what the server answers to a POST.
func (s *server) reply(client *http.Client, path, text string) string {
	s.t.Helper()
	resp, err := client.Post("http://"+s.address+path, "text/plain", strings.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(answer)
}

// watchUntil looks at the status until the log has a line n times, and returns
// how long the slowest look took.
func (s *server) watchUntil(line string, n int) (slowest time.Duration) {
	s.t.Helper()
	eventually(s.t, line, func() bool {
		began := time.Now()
		s.status()
		slowest = max(slowest, time.Since(began))
		return s.log.count(line) >= n
	})
	return slowest
}

func hasOpen(list []control.Incident, id string) bool {
	for _, in := range list {
		if in.ID == id && in.Outcome == "open" {
			return true
		}
	}
	return false
}

// checkShown reads all that people and scripts are shown.
func (s *server) checkShown() {
	s.t.Helper()
	t := s.t.(*testing.T)
	checkText(t, "the log", s.log.String())
	checkText(t, "incidents", s.verb(0, "incidents"))
	checkText(t, "status", s.verb(0, "status"))
	text := s.verb(0, "incidents", "--json")
	checkText(t, "incidents --json", text)
	var list []control.Incident
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) < 10 {
		t.Errorf("incidents --json: %d incidents, %v", len(list), err)
	}
	for _, in := range list {
		if in.Worker == 99 || in.PID == 1 {
			t.Errorf("it has passed for another: %+v", in)
		}
		if len(in.Stack) > 40<<10 || len(in.Path) > 4<<10 {
			t.Errorf("an incident keeps %d bytes of stack", len(in.Stack))
		}
	}
	for line := range strings.Lines(s.log.String()) {
		if strings.HasPrefix(line, "time=2000") {
			t.Errorf("a forged line: %q", line)
		}
	}
}

// With log_format = "json" each line of the log is one object, whatever was said.
func TestHostileWorkerAndJSON(t *testing.T) {
	t.Parallel()
	file := filepath.Join(folder(t), "master.log")
	dir, _ := place(t, fmt.Sprintf("workers = 1\nlog_format = \"json\"\nmaster_log_file = %q\n", file)+app())
	s := again(t, dir)
	s.running()
	s.waitWorkers(1)
	villain := s.villain(0)
	for _, a := range attacks[:5] {
		villain(a.what, a.n, a.text)
	}
	villain("lies", 10, lie(t, 20<<10))
	villain("last", 1, last)
	s.incident("/last", "open")
	text := readAll(t, file)
	if n := strings.Count(text, `"msg":"request overdue"`); n < 3 {
		t.Errorf("%d lies are in the log", n)
	}
	for line := range strings.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil || object["msg"] == "forged" {
			t.Errorf("%v: %.300q", err, line)
		}
	}
}

func residentKiB(t *testing.T, pid int) (kib int) {
	t.Helper()
	_, _ = fmt.Sscan(procStatus(t, pid)["VmRSS"], &kib)
	return kib
}
