package integration

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fullLoad is for machines and people that have minutes:
// go test ./integration -load.full -run TestName -v -timeout 1h
var fullLoad = flag.Bool("load.full", false, "run the tests under load at their full size")

// traffic is a crowd of clients that send one request after the other and retry
// nothing, so that whatever is lost is seen. Half of them make a connection for
// each request, half keep theirs. They speak HTTP by themselves: http.Transport
// silently sends a request again if its connection ends.
type traffic struct {
	t         testing.TB
	addresses []string
	path      string        // what to GET, if not a mixture of requests; the answer is taken for the version
	pause     time.Duration // of a client between two requests
	over      chan struct{}
	all       sync.WaitGroup

	mu sync.Mutex // guards all below
	ledger
}

// ledger is what a crowd has seen.
type ledger struct {
	ok       int
	lost     map[string]int // by kind: refused, reset, no answer, truncated, wrong body, status 503 …
	examples []string       // of what was lost
	versions map[string]int // of the app, by who answered
	last     time.Time      // an answer came
	gap      time.Duration  // longest without any
	standing time.Duration  // longest that this process itself stood still
}

// load starts n clients, spread over the addresses. In a machine that other
// tests use, too, they make a pause between requests.
func (s *server) load(n int, addresses ...string) *traffic {
	s.t.Helper()
	if len(addresses) == 0 {
		addresses = []string{s.address}
	}
	tr := crowd(s.t, addresses...)
	if !*fullLoad {
		tr.pause = 20 * time.Millisecond
	}
	tr.start(n)
	return tr
}

// loadOf is load by GETs of one path, on an app that is not the test app.
func (s *server) loadOf(n int, path string) *traffic {
	tr := crowd(s.t, s.address)
	tr.path, tr.pause = path, 20*time.Millisecond
	tr.start(n)
	return tr
}

func crowd(t testing.TB, addresses ...string) *traffic {
	return &traffic{t: t, addresses: addresses, over: make(chan struct{}),
		ledger: ledger{lost: map[string]int{}, versions: map[string]int{}}}
}

func (tr *traffic) start(n int) {
	tr.all.Go(tr.clock)
	for i := range n {
		c := &client{tr: tr, keep: i%2 == 0, address: tr.addresses[i/2%len(tr.addresses)], lot: rand.New(rand.NewSource(int64(i)))}
		tr.all.Go(c.run)
	}
}

// end stops the clients, each after its request, and returns what they have seen.
func (tr *traffic) end() ledger {
	close(tr.over)
	tr.all.Wait()
	tr.t.Logf("%s", &tr.ledger)
	return tr.ledger
}

// endWhole is end where nothing may have been lost.
func (tr *traffic) endWhole() ledger {
	tr.t.Helper()
	got := tr.end()
	if len(got.lost) > 0 {
		tr.t.Errorf("lost %v:\n%s", got.lost, strings.Join(got.examples, "\n"))
	}
	if got.ok == 0 {
		tr.t.Error("not one request was answered")
	}
	return got
}

func (t *ledger) String() string {
	return fmt.Sprintf("%d requests answered, by %v; lost %v; longest without an answer %s (this process itself stood still for %s)",
		t.ok, t.versions, t.lost, t.gap.Round(time.Millisecond), t.standing.Round(time.Millisecond))
}

// answered is how many have been so far.
func (tr *traffic) answered() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.ok
}

// more waits until n more requests are answered.
func (tr *traffic) more(n int) {
	tr.t.Helper()
	want := tr.answered() + n
	eventually(tr.t, fmt.Sprintf("%d more requests are answered", n), func() bool { return tr.answered() >= want })
}

// clock notices when this process did not run. It ends with the load.
func (tr *traffic) clock() {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-tr.over:
			return
		case <-tick.C:
		}
		now := time.Now()
		tr.mu.Lock()
		tr.standing = max(tr.standing, now.Sub(last))
		tr.mu.Unlock()
		last = now
	}
}

func (tr *traffic) note(version string, err error, about string) {
	now := time.Now()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if err != nil {
		tr.lost[kindOf(err)]++
		if len(tr.examples) < 10 {
			tr.examples = append(tr.examples, fmt.Sprintf("%s %s: %v", now.Format(time.RFC3339Nano), about, err))
		}
		return
	}
	if !tr.last.IsZero() {
		tr.gap = max(tr.gap, now.Sub(tr.last))
	}
	tr.last = now
	tr.ok++
	tr.versions[version]++
}

// loss is a request that was not answered as it should; kind is the table's word.
type loss struct {
	kind string
	err  error
}

func (l loss) Error() string { return fmt.Sprintf("%s (%v)", l.kind, l.err) }

func kindOf(err error) string {
	var l loss
	if errors.As(err, &l) {
		return l.kind
	}
	return "other"
}

// whileDialing and whileTalking name what may happen to a request then.
func whileDialing(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) {
		return loss{"refused", err}
	}
	return loss{"no connection", err}
}

func whileTalking(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return loss{"reset", err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return loss{"silence", err}
	}
	return loss{"no answer", err}
}

// client is one of a crowd.
type client struct {
	tr      *traffic
	keep    bool
	address string
	lot     *rand.Rand

	conn  net.Conn // nil: the next request needs one
	in    *bufio.Reader
	since time.Time // conn was last used
}

// run goes on until the load is over.
func (c *client) run() {
	defer c.hangUp()
	for {
		began := time.Now()
		fresh := c.conn == nil
		version, err := c.exchange()
		c.tr.note(version, err, fmt.Sprintf("%s, keeping its connection %v, a new one %v, after %s", c.address, c.keep, fresh, time.Since(began)))
		if err != nil {
			c.hangUp()
		}
		select {
		case <-c.tr.over:
			return
		case <-time.After(c.tr.pause):
		}
	}
}

// exchange makes one request and checks its answer byte by byte.
func (c *client) exchange() (version string, err error) {
	if err := c.connect(); err != nil {
		return "", err
	}
	request, want := c.request()
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(request); err != nil {
		return "", whileTalking(err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return "", whileTalking(err)
	}
	body, err := io.ReadAll(resp.Body)
	c.since = time.Now()
	if resp.Close || !c.keep {
		c.hangUp()
	}
	if c.tr.path != "" {
		return string(body), verify(resp, body, err, body[:max(0, min(len(body), int(resp.ContentLength)))])
	}
	return resp.Header.Get("X-Version"), verify(resp, body, err, want)
}

func verify(resp *http.Response, body []byte, err error, want []byte) error {
	switch {
	case err != nil:
		return loss{"truncated", fmt.Errorf("after %d of %d bytes: %w", len(body), len(want), err)}
	case resp.StatusCode != http.StatusOK:
		return loss{fmt.Sprintf("status %d", resp.StatusCode), fmt.Errorf("%.100q", body)}
	case resp.ContentLength != int64(len(want)) || !bytes.Equal(body, want):
		return loss{"wrong body", fmt.Errorf("%d bytes, announced as %d, not %d", len(body), resp.ContentLength, len(want))}
	}
	return nil
}

// connect does nothing if there is a connection that can be used. One that the
// server has closed while nothing was under way is no loss: HTTP allows it.
func (c *client) connect() error {
	if c.conn != nil {
		ended, err := endedBehindOurBack(c.conn)
		switch {
		case err != nil:
			return err
		case !ended && time.Since(c.since) < time.Second: // linger, half of it
			return nil
		}
		c.hangUp()
	}
	network, address := "tcp", c.address
	if path, is := strings.CutPrefix(address, "unix:"); is {
		network, address = "unix", path
	}
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return whileDialing(err)
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	return nil
}

// endedBehindOurBack looks whether an idle connection was closed.
func endedBehindOurBack(conn net.Conn) (ended bool, err error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return false, err
	}
	n, peeked := 0, error(nil)
	if err := raw.Control(func(fd uintptr) {
		n, _, peeked = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	}); err != nil {
		return false, err
	}
	if n > 0 {
		return false, loss{"unasked", errors.New("the server has said something before it was asked")}
	}
	return !errors.Is(peeked, syscall.EAGAIN), nil
}

func (c *client) hangUp() {
	if c.conn != nil {
		c.conn.Close()
	}
	c.conn, c.in = nil, nil
}

// request draws a GET or a POST and the body that must be answered; one in fifty
// is large.
func (c *client) request() (request, want []byte) {
	connection := ""
	if !c.keep {
		connection = "Connection: close\r\n"
	}
	if c.tr.path != "" {
		return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", c.tr.path, connection), nil
	}
	n := c.lot.Intn(4 << 10)
	if c.lot.Intn(50) == 0 {
		n = 256 << 10
	}
	if c.lot.Intn(2) == 0 {
		return fmt.Appendf(nil, "GET /pattern?bytes=%d HTTP/1.1\r\nHost: x\r\n%s\r\n", n, connection), placesTo(n)
	}
	want = make([]byte, n)
	_, _ = c.lot.Read(want)
	head := fmt.Appendf(nil, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n", n, connection)
	return append(head, want...), want
}

// placesTo is what the test app's /pattern sends.
func placesTo(n int) []byte {
	return placesFrom(0, n)
}

func placesFrom(at, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((at + i) % 251)
	}
	return b
}

// The crowd sees each kind of loss, and calls it by its name.
func TestTrafficSeesLosses(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Length: "
	for kind, answer := range map[string]string{
		"no answer":  "",
		"truncated":  head + "300000\r\n\r\nhalf",
		"wrong body": head + "4\r\n\r\nhalf",
		"status 503": "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
		"reset":      "RST",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			got := lossesOf(t, answer)
			if kinds := slices.Collect(maps.Keys(got.lost)); !slices.Equal(kinds, []string{kind}) || got.ok > 0 {
				t.Errorf("seen %s", &got)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		for _, address := range []string{"127.0.0.1:" + freePort(t), "unix:/nowhere/app.sock"} {
			tr := crowd(t, address)
			tr.start(2)
			got := tr.end()
			if got.lost["refused"] < 2 || len(got.lost) != 1 {
				t.Errorf("seen %s", &got)
			}
		}
	})
}

// lossesOf has two clients meet a server that reads each request and gives always
// the same answer.
func lossesOf(t *testing.T, answer string) ledger {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			if answer == "RST" {
				_ = c.(*net.TCPConn).SetLinger(0)
			} else {
				_, _ = io.WriteString(c, answer)
			}
			c.Close()
		}
	}()
	tr := crowd(t, l.Addr().String())
	tr.pause = time.Millisecond
	tr.start(2)
	eventually(t, "some are lost", func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return len(tr.examples) >= 4
	})
	return tr.end()
}

// Nothing is lost when workers come and go by wish; when they are killed, the
// crowd has to notice.
func TestTrafficWhileWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	s := start(t, "workers = 2\n[[listener]]\naddress = \"unix:app.sock\"\n"+app())
	tr := s.load(16, s.address, "unix:"+s.dir+"/app.sock")
	for range 3 {
		s.post("/scale", `{"workers":4}`)
		s.waitWorkers(4)
		tr.more(100)
		s.post("/scale", `{"workers":1}`)
		s.waitWorkers(1)
		tr.more(100)
	}
	tr.endWhole()

	tr = s.load(16)
	for range 10 {
		tr.more(20)
		kill(t, pids(s.waitWorkers(1))[1], syscall.SIGKILL)
		eventually(t, "it is replaced", func() bool { return len(pids(s.status())) == 1 })
	}
	if got := tr.end(); got.lost["reset"]+got.lost["no answer"]+got.lost["truncated"] == 0 {
		t.Error("ten workers were killed with requests in them and nothing was lost")
	}
}
