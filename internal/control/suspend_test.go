package control

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func wantOpen(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		t.Fatal("it is suspended already")
	default:
	}
}

// takeFrom accepts the next client as the next image would, straight from the
// kernel's queue.
func (l *fakeLoop) takeFrom(t *testing.T) net.Conn {
	t.Helper()
	ln, err := accepting(l.server.door.socket)
	must(t, err)
	defer ln.Close()
	must(t, ln.SetDeadline(time.Now().Add(patience)))
	c, err := ln.Accept()
	must(t, err)
	return c
}

func TestSuspendedClientsAreLeftToTheNextImage(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	_, err := l.client(t).Status()
	must(t, err)
	<-l.heard
	await(t, "end of the requests", l.server.Suspend())

	first, second := l.connect(t), l.connect(t)
	for _, c := range []net.Conn{first, second} {
		_, err = io.WriteString(c, request11("GET", "/status", ""))
		must(t, err)
	}
	taken := l.takeFrom(t)
	head := make([]byte, 4)
	if _, err := io.ReadFull(taken, head); err != nil || string(head) != "GET " {
		t.Errorf("the next image reads %q, %v", head, err)
	}
	must(t, taken.Close())
	select {
	case a := <-l.heard:
		t.Errorf("the loop is asked %+v", a)
	default:
	}
	l.server.Resume()
	if resp, _ := readAnswer(t, second); resp.StatusCode != 200 {
		t.Errorf("got %s after the exec failed", resp.Status)
	}
	_, err = l.client(t).Status()
	must(t, err)
}

func TestSuspendSendsSlowClientsAway(t *testing.T) {
	t.Parallel()
	for name, half := range map[string]string{
		"silent":      "",
		"half a head": "POST /reload HT",
		"half a body": "POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := startLoop(t, running())
			slow := make([]net.Conn, 8) // few enough that nobody else makes them leave
			for i := range slow {
				slow[i] = l.connect(t)
				_, err := io.WriteString(slow[i], half)
				must(t, err)
			}
			_, err := l.client(t).Status() // behind them, so all have been accepted
			must(t, err)
			begun := time.Now()
			await(t, "end of the requests", l.server.Suspend())
			if took := time.Since(begun); took > headerLimit/2 {
				t.Errorf("it took %s", took)
			}
			wantClosed(t, slow[len(slow)-1])
			l.server.Resume()
			_, err = l.client(t).Status()
			must(t, err)
		})
	}
}

func TestSuspendLetsABusyRequestBeAnswered(t *testing.T) {
	t.Parallel()
	l := startLoop(t, nil)
	slow, c := l.connect(t), l.connect(t)
	_, err := io.WriteString(c, request11("POST", "/scale", `{"by":1}`))
	must(t, err)
	a := await(t, "ask", l.asks)
	empty := l.server.Suspend()
	wantClosed(t, slow) // and who is busy is not sent away with it
	wantOpen(t, empty)
	a.Reply(Answer{Status: Status{WorkersWanted: 3}})
	await(t, "end of the requests", empty)
	if resp, body := readAnswer(t, c); resp.StatusCode != 200 {
		t.Errorf("got %s %s", resp.Status, body)
	}
}

// The request that asks for the exec must not be waited for, nor may the exec
// come while its descriptor has two owners.
func TestSuspendForAClientThatWaitsForTheOutcome(t *testing.T) {
	t.Parallel()
	l := startLoop(t, nil)
	client, a := l.wait(t, "/upgrade")
	empty := l.server.Suspend()
	wantOpen(t, empty)
	a.Reply(Answer{})
	await(t, "end of the requests", empty)
	a.Waiter.Answer(Outcome{Kind: "upgrade", OK: true, Generation: 2})
	wantAnswer(t, client, http.StatusOK, `{"ok":true,"kind":"upgrade","generation":2}`)
}

func TestSuspendAndResumeAreTakenAsOftenAsTheyCome(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	l.server.Resume() // of nothing
	c := l.client(t)
	for range 20 {
		first, second := l.server.Suspend(), l.server.Suspend()
		await(t, "end of the requests", first)
		await(t, "end of the requests", second)
		l.server.Resume()
		l.server.Resume()
		_, err := c.Status()
		must(t, err)
		l.server.Suspend()
		l.server.Resume() // at once
	}
}

func TestCloseWhileSuspended(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	await(t, "end of the requests", l.server.Suspend())
	waiting := l.connect(t)
	must(t, l.server.Close())
	if _, err := waiting.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the end of the connection", err)
	}
	await(t, "end of the requests", l.server.Suspend())
	l.server.Resume()
}

func TestAConnectionThatWasSentAwayAsksForNothing(t *testing.T) {
	t.Parallel()
	d := &door{places: make(chan struct{}, 1)}
	d.places <- struct{}{}
	d.inside.enter()
	server, client := socketPair(t)
	c := d.enter(server)
	d.takeLate(time.Now())
	if c.whole() {
		t.Error("its request is taken for whole")
	}
	must(t, c.Close())
	wantClosed(t, client)
}

func socketPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		must(t, err)
		must(t, f.Close())
		ends[i] = c.(*net.UnixConn)
		t.Cleanup(func() { c.Close() })
	}
	return ends[0], ends[1]
}
