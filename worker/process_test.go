package worker

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/wire"
)

// Tests of the package as its users see it: real processes, started as the
// master starts them.

func TestWorkerSaysHelloThenReadyThenBeats(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	c := spawn(t, start{helper: "serve", socket: &s, pid: "$$"})
	any := func(wire.Message) bool { return true }
	if m := c.await(t, "the first word", any); m.Type != wire.Hello {
		t.Errorf("first word %q, want hello", m.Type)
	}
	if m := c.awaitType(t, wire.Ready); !m.Commands {
		t.Error("ready does not say that it reads commands")
	}
	s.assertNonblocking(t, "after attach")
	if got := get(t, s.url("/who")); got != "2 5" {
		t.Errorf("id and generation %q, want 2 5", got)
	}
	c.await(t, "a beat that counts", func(m wire.Message) bool { return m.Requests == 1 })
	c.command(t, wire.CommandDrain)
	c.awaitExit(t, 0)
	s.assertNonblocking(t, "after drain and exit")
}

func TestLoadingThePackageSaysHello(t *testing.T) {
	t.Parallel()
	c := spawn(t, start{helper: "nothing"})
	c.awaitType(t, wire.Hello)
	c.awaitExit(t, 0)
}

func TestWrapperThatDoesNotExecIsAnError(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	c := spawn(t, start{helper: "serve", socket: &s, pid: "1"})
	c.awaitExit(t, 3)
	for m := range c.messages {
		t.Errorf("said %q on a pipe that is not its own", m.Type)
	}
}

func TestIdleWorkerLeavesWithinASecondOfTheMaster(t *testing.T) {
	t.Parallel()
	for _, helper := range []string{"serve", "run", "idle"} {
		took := time.Hour
		for try := 0; try < 3 && took > time.Second; try++ { // the machine may be busy
			took = leaveWithMaster(t, helper)
		}
		if took > time.Second {
			t.Errorf("%s: left %v after the master", helper, took)
		}
	}
}

func leaveWithMaster(t *testing.T, helper string) time.Duration {
	t.Helper()
	s := newSocket(t)
	c := spawn(t, start{helper: helper, socket: &s, settings: wire.Settings{
		BeatEvery: time.Hour, DrainLimit: limit, HTTP: wire.HTTP{Linger: time.Hour},
	}})
	c.awaitType(t, wire.Ready)
	if helper == "serve" {
		keepAlive(t).get(t, s.url("/")) // leaves an idle connection, due after an hour
	}
	died := time.Now()
	c.cut()
	c.awaitExit(t, 0)
	return time.Since(died)
}

func TestBusyWorkerAnswersBeforeItLeaves(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	c := spawn(t, start{helper: "serve", socket: &s})
	c.awaitType(t, wire.Ready)
	r := begin(t, s)
	c.busy(t, 1)
	c.cut()
	r.finish(t, "the master died meanwhile")
	c.awaitExit(t, 0)
}

func TestDrainLimitCutsWhatIsLeft(t *testing.T) {
	t.Parallel()
	for helper, code := range map[string]int{"serve": 3, "hang": 1} {
		s := newSocket(t)
		settings := testSettings
		settings.DrainLimit = 100 * time.Millisecond
		c := spawn(t, start{helper: helper, socket: &s, settings: settings})
		c.awaitType(t, wire.Ready)
		r := begin(t, s)
		c.busy(t, 1)
		c.cut()
		c.awaitExit(t, code)
		r.lost(t, "the drain limit was over")
	}
}

func TestQuitDrainsAndSaysSo(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	c := spawn(t, start{helper: "serve", socket: &s})
	c.awaitType(t, wire.Ready)
	r := begin(t, s)
	c.busy(t, 1)
	c.signal(t, syscall.SIGQUIT)
	c.awaitType(t, wire.Draining)
	r.finish(t, "it was told to quit meanwhile")
	c.awaitExit(t, 0)
}

func TestTermAndStopAreQuick(t *testing.T) {
	t.Parallel()
	for _, how := range []func(*child){
		func(c *child) { c.signal(t, syscall.SIGTERM) },
		func(c *child) { c.signal(t, syscall.SIGINT) },
		func(c *child) { c.command(t, wire.CommandStop) },
	} {
		s := newSocket(t)
		c := spawn(t, start{helper: "serve", socket: &s})
		c.awaitType(t, wire.Ready)
		r := begin(t, s)
		c.busy(t, 1)
		how(c)
		c.awaitExit(t, 0)
		r.lost(t, "it was told to stop at once")
	}
}

func TestMainThatHangsIsEndedAfterAStop(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	c := spawn(t, start{helper: "hang", socket: &s})
	c.awaitType(t, wire.Ready)
	c.command(t, wire.CommandStop)
	c.awaitExit(t, 0)
}

func TestStopAfterDrainIsQuick(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	c := spawn(t, start{helper: "run", socket: &s})
	c.awaitType(t, wire.Ready)
	conn, err := net.Dial("tcp", s.addr)
	check(t, err)
	defer conn.Close()
	check(t, echoOnce(conn, "x"))
	c.command(t, wire.CommandDrain)
	check(t, echoOnce(conn, "served while draining"))
	c.command(t, wire.CommandStop)
	c.awaitExit(t, 0)
}

func TestUsr1AsksTheMasterForLogs(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	c := spawn(t, start{helper: "serve", socket: &s})
	c.awaitType(t, wire.Ready)
	c.signal(t, syscall.SIGUSR1)
	c.awaitType(t, wire.Reopen)
	c.command(t, wire.CommandDrain)
	c.awaitExit(t, 0)
}

func TestReopenLosesNoLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logFile := func(i int) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("log%03d", i)), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		check(t, err)
		return f
	}
	s, first := newSocket(t), logFile(0)
	defer first.Close()
	c := spawn(t, start{helper: "lines", socket: &s, stdout: first})
	c.awaitType(t, wire.Ready)
	const files = 8
	for i := 1; i < files; i++ {
		f := logFile(i)
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		check(t, err)
		// A third descriptor: it must be closed, not leaked.
		c.command(t, wire.CommandReopen, int(f.Fd()), int(null.Fd()), int(null.Fd()))
		awaitGrowth(t, f)
		f.Close()
		null.Close()
	}
	c.command(t, wire.CommandDrain)
	c.awaitExit(t, 0)

	var all bytes.Buffer
	for i := range files {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("log%03d", i)))
		check(t, err)
		all.Write(b)
	}
	lines := strings.Split(strings.TrimSuffix(all.String(), "\n"), "\n")
	for i, line := range lines[:len(lines)-1] {
		if line != fmt.Sprint(i) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if want := fmt.Sprint("end ", len(lines)-1); lines[len(lines)-1] != want {
		t.Errorf("last line %q, want %q", lines[len(lines)-1], want)
	}
}

// awaitGrowth polls: no event tells that another process has written to a file.
func awaitGrowth(t *testing.T, f *os.File) {
	t.Helper()
	for bound := time.Now().Add(limit); time.Now().Before(bound); runtime.Gosched() {
		if st, err := f.Stat(); err == nil && st.Size() > 0 {
			return
		}
	}
	t.Fatal("nothing was written to the reopened log")
}

func TestFullPipeNeverBlocksTheWorker(t *testing.T) {
	t.Parallel()
	s, l := newSocket(t), newLink(t)
	// The worker's own end as well, so that it can be filled beforehand.
	n := l.full(t)
	settings := testSettings
	settings.BeatEvery = time.Millisecond
	c := spawnUnread(t, start{helper: "serve", socket: &s, link: l, settings: settings})
	for range 20 {
		get(t, s.url("/"))
	}
	l.empty(t, n)
	c.awaitType(t, wire.Ready) // was owed, not dropped
	c.await(t, "a beat that counts", func(m wire.Message) bool { return m.Requests == 20 })
	c.command(t, wire.CommandDrain)
	c.awaitExit(t, 0)
}

func TestGrandchildGetsNothingOfTheWorker(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	s := newSocket(t)
	c := spawn(t, start{helper: "serve", socket: &s, pid: "$$"})
	c.awaitType(t, wire.Ready)
	for line := range strings.Lines(get(t, s.url("/grandchild"))) {
		if _, target, ok := strings.Cut(line, " -> "); ok {
			fields := strings.Fields(line)
			fd := fields[len(fields)-3]
			own := strings.HasPrefix(target, "/proc/") // the folder that ls reads
			if fd > "2" && !own {
				t.Errorf("the grandchild inherited %s", strings.TrimSpace(line))
			}
		}
		name, _, _ := strings.Cut(line, "=")
		for _, private := range wire.WorkerEnv {
			if name == private {
				t.Errorf("the grandchild inherited %s", strings.TrimSpace(line))
			}
		}
	}
	c.command(t, wire.CommandDrain)
	c.awaitExit(t, 0)
}

func TestAloneServesOnAddrAndDrainsOnTerm(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	c := spawn(t, start{helper: "serve", alone: true, env: []string{argEnv + "=" + addr}})
	s := socket{addr: addr}
	awaitListening(t, addr)
	r := begin(t, s)
	r.sent(t)
	c.signal(t, syscall.SIGTERM)
	awaitRefused(t, addr)
	r.finish(t, "it got TERM meanwhile")
	c.awaitExit(t, 0)
}

func TestAloneSecondTermIsQuick(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	c := spawn(t, start{helper: "serve", alone: true, env: []string{argEnv + "=" + addr}})
	awaitListening(t, addr)
	r := begin(t, socket{addr: addr})
	r.sent(t)
	c.signal(t, syscall.SIGTERM)
	awaitRefused(t, addr)
	c.signal(t, syscall.SIGTERM)
	c.awaitExit(t, 0)
	r.lost(t, "it got TERM twice")
}

func TestAloneUsesTheListenersOfSystemd(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	c := spawn(t, start{helper: "serve", socket: &s, alone: true, pid: "$$", env: []string{argEnv + "=256.0.0.1:bad"}})
	if got := get(t, s.url("/who")); got != "0 0" {
		t.Errorf("id and generation %q, want 0 0", got)
	}
	c.signal(t, syscall.SIGTERM)
	c.awaitExit(t, 0)
}

// Two workers share a listener; one after the other is replaced under load.
func TestReplacingWorkersLosesNoRequest(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	settings := testSettings
	settings.HTTP.Linger = 200 * time.Millisecond // for those that net/http dials and does not use
	fresh := func() *child {
		c := spawn(t, start{helper: "serve", socket: &s, settings: settings})
		c.awaitType(t, wire.Ready)
		return c
	}
	workers := []*child{fresh(), fresh()}
	load := newLoad(t, s, settings.HTTP.Linger)
	for i := range 8 {
		workers = append(workers, fresh())
		if i%2 == 0 {
			workers[0].command(t, wire.CommandDrain)
		} else {
			workers[0].signal(t, syscall.SIGQUIT)
		}
		workers[0].awaitExit(t, 0)
		s.assertNonblocking(t, "after a replacement")
		workers = workers[1:]
	}
	answered := load.end(t)
	for _, c := range workers {
		c.command(t, wire.CommandDrain)
		c.awaitExit(t, 0)
	}
	t.Logf("%d requests answered, none lost", answered)
}

// load is clients that hammer a socket, some over one connection, some over a
// new one each time. They POST: net/http repeats a GET by itself if the
// connection breaks, and so would hide a loss.
type load struct {
	stop     chan struct{}
	clients  sync.WaitGroup
	answered atomic.Int64
	lost     chan error
	linger   time.Duration // what the workers promise
}

func newLoad(t *testing.T, s socket, linger time.Duration) *load {
	l := &load{linger: linger, stop: make(chan struct{}), lost: make(chan error, 1000)}
	for i := range 4 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}, Timeout: limit}
		l.clients.Go(func() { l.hammer(client, s.url("/echo")) })
		t.Cleanup(client.CloseIdleConnections)
	}
	return l
}

func (l *load) hammer(client *http.Client, url string) {
	var last time.Time // when this client last sent a request
	for !isClosed(l.stop) {
		sent, pause, err := post(client, url, last)
		last = sent
		switch {
		case err == nil:
			l.answered.Add(1)
		case pause < l.linger:
			l.lost <- fmt.Errorf("sent after a pause of %s: %w", pause, err)
		}
		// Otherwise the client did not run for longer than it was promised to be
		// waited for: the connection was closed rightly.
	}
}

// post sends one request. It returns when, and how long the server can have
// waited for it: since the one before on the same connection (which it cannot
// have answered before it was sent), or since a new one was dialled.
func post(client *http.Client, url string, last time.Time) (sent time.Time, pause time.Duration, err error) {
	since, reused := time.Now(), false
	req, err := http.NewRequest(http.MethodPost, url, io.MultiReader(strings.NewReader("body")))
	if err != nil {
		return since, 0, err
	}
	wrote := make(chan time.Time, 4) // once for each attempt of net/http
	trace := &httptrace.ClientTrace{
		GotConn:      func(c httptrace.GotConnInfo) { reused = c.Reused },
		WroteRequest: func(httptrace.WroteRequestInfo) { wrote <- time.Now() },
	}
	resp, err := client.Do(req.WithContext(httptrace.WithClientTrace(context.Background(), trace)))
	if err == nil {
		var b []byte
		b, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && string(b) != "body" {
			err = fmt.Errorf("answer %q", b)
		}
	}
	sent = time.Now()
	for len(wrote) > 0 {
		sent = <-wrote
	}
	if reused && !last.IsZero() {
		since = last
	}
	return sent, sent.Sub(since), err
}

func (l *load) end(t *testing.T) int64 {
	t.Helper()
	close(l.stop)
	l.clients.Wait()
	close(l.lost)
	for err := range l.lost {
		t.Errorf("lost: %v", err)
	}
	return l.answered.Load()
}

func echoOnce(c net.Conn, text string) error {
	if _, err := fmt.Fprintln(c, text); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != text+"\n" {
		err = fmt.Errorf("echo of %q is %q", text, line)
	}
	return err
}
