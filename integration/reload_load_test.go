package integration

import (
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// full is the size of a test at -load.full, small everywhere else.
func full(big, small int) int {
	if *fullLoad {
		return big
	}
	return small
}

// long leaves out what takes long at -short.
func long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long")
	}
}

// noGap checks how long a crowd was without an answer, where the machine is ours.
func noGap(t testing.TB, got ledger) {
	t.Helper()
	if *fullLoad && got.gap-got.standing > 50*time.Millisecond {
		t.Errorf("nobody was answered for %s", got.gap)
	}
}

// twoListeners are a TCP and a Unix one.
const twoListeners = "[[listener]]\naddress = \"unix:app.sock\"\n"

func (s *server) both() []string { return []string{s.address, "unix:" + s.dir + "/app.sock"} }

// Each HUP brings the version that a deploy has put there, and costs nobody an
// answer.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 3\n", twoListeners)
	tr := d.load(32, d.both()...)
	tr.more(100)
	reloads := full(20, 4)
	for i := range reloads {
		d.put(d.app, d.apps[(i+1)%2])
		timed(t, "a reload", func() { d.ok("reload", d.hup) })
		tr.more(full(4000, 100))
		st := d.settled(3)
		if st.PID != d.pid || st.Generation != i+2 {
			t.Errorf("after %d reloads: process %d, generation %d", i+1, st.PID, st.Generation)
		}
		d.answersWith([]string{firstApp, secondApp}[(i+1)%2])
	}
	got := tr.endWhole()
	if got.versions[firstApp] == 0 || got.versions[secondApp] == 0 {
		t.Errorf("answers came from %v", got.versions)
	}
	noGap(t, got)
	if exits := d.status().Counters.Exits; exits["reload"] != uint64(3*reloads) || exits["crash"] > 0 {
		t.Errorf("counted %v", exits)
	}
}

// download is a client that takes its time over a large answer.
type download struct {
	s       *server
	c       net.Conn
	at, all int
}

func (s *server) download(bytes int) *download {
	s.t.Helper()
	d := &download{s: s, c: s.dial(), all: bytes}
	fmt.Fprintf(d.c, "GET /pattern?bytes=%d HTTP/1.1\r\nHost: x\r\n\r\n", bytes)
	head, b := "", make([]byte, 1)
	for !strings.HasSuffix(head, "\r\n\r\n") {
		if _, err := io.ReadFull(d.c, b); err != nil {
			s.t.Fatalf("download: %q, %v", head, err)
		}
		head += string(b)
	}
	if !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		s.t.Fatalf("download: %q", head)
	}
	return d
}

// take reads until upTo bytes have come, and checks each.
func (d *download) take(upTo int) {
	d.s.t.Helper()
	for d.at < upTo {
		b := make([]byte, min(upTo-d.at, 1<<20))
		n, err := io.ReadFull(d.c, b)
		if string(b[:n]) != string(placesFrom(d.at, n)) {
			d.s.t.Fatalf("download: wrong bytes between %d and %d", d.at, d.at+n)
		}
		if d.at += n; err != nil {
			d.s.t.Fatalf("download: cut after %d of %d bytes: %v", d.at, d.all, err)
		}
	}
}

// upload is one that is slow to send.
type upload struct {
	s       *server
	c       net.Conn
	at, all int
	sum     uint32
}

func (s *server) upload(bytes int) *upload {
	s.t.Helper()
	u := &upload{s: s, c: s.dial(), all: bytes}
	fmt.Fprintf(u.c, "POST /sum HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", bytes)
	return u
}

func (u *upload) send(upTo int) {
	u.s.t.Helper()
	for u.at < upTo {
		b := placesFrom(u.at, min(upTo-u.at, 1<<20))
		if _, err := u.c.Write(b); err != nil {
			u.s.t.Fatalf("upload: cut after %d of %d bytes: %v", u.at, u.all, err)
		}
		u.sum = crc32.Update(u.sum, crc32.IEEETable, b)
		u.at += len(b)
	}
}

func (u *upload) finish() {
	u.s.t.Helper()
	u.send(u.all)
	answer, err := io.ReadAll(u.c)
	if want := fmt.Sprintf("\r\n\r\n%d %08x", u.all, u.sum); err != nil || !strings.HasSuffix(string(answer), want) {
		u.s.t.Errorf("upload: answered %q, %v", answer, err)
	}
}

// across has a download and an upload under way while the acts are done, one
// after the other, and the server get further in each.
func (d *deployment) across(bytes int, acts ...func()) {
	d.t.Helper()
	down, up := d.download(bytes), d.upload(bytes)
	for _, c := range []net.Conn{down.c, up.c} {
		_ = c.SetDeadline(time.Now().Add(4 * patience)) // all of the acts together
	}
	d.inFlight(2)
	for i, act := range acts {
		part := bytes / (len(acts) + 1) * (i + 1) * 3 / 4 // the server is not at the end of its work
		down.take(part)
		up.send(part)
		act()
	}
	down.take(bytes)
	up.finish()
}

// Workers that are told to leave finish a download and an upload first.
func TestTransfersWhileWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	d := deploy(t, slowTransfers, "")
	scale := func(n string) func() { return func() { d.post("/scale", `{"workers":`+n+`}`) } }
	d.across(full(100<<20, 24<<20), scale("0"), scale("2"))
	d.waitWorkers(2)
}

// slowTransfers leaves room for the workers that still have them.
const slowTransfers = "workers = 2\nmax_surge = 8\nworker_kill_timeout = \"60s\"\n"

// A large download and a large upload go on over two reloads, byte for byte (F63).
func TestReloadDuringTransfers(t *testing.T) {
	t.Parallel()
	d := deploy(t, slowTransfers, "")
	reload := func() {
		d.put(d.app, d.apps[1])
		d.ok("reload", d.hup)
		d.answersWith(secondApp)
	}
	d.across(full(100<<20, 24<<20), reload, reload)
	d.settled(2)
}
