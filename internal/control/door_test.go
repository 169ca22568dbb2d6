package control

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestSlowClientsLockOutNobody(t *testing.T) {
	t.Parallel()
	for name, half := range map[string]string{
		"silent":      "",
		"half a head": "GET /status HT",
		"half a body": "POST /scale HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := startLoop(t, running())
			slow := make([]net.Conn, 100)
			for i := range slow {
				slow[i] = l.connect(t)
				_, err := io.WriteString(slow[i], half)
				must(t, err)
			}
			_, err := l.client(t).Status()
			must(t, err)
			wantClosed(t, slow[0]) // it has waited longest
		})
	}
}

func wantClosed(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := io.Copy(io.Discard, c); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d, %v, want the end of the connection", n, err)
	}
}

func TestManyClientsAreAllAnswered(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	c := l.client(t)
	var clients sync.WaitGroup
	for range 3 * maxConns {
		clients.Go(func() {
			if _, err := c.Status(); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
}

func TestClientsThatLeaveBeforeTheAnswerDoNoHarm(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	for range 3 * maxConns {
		c, err := net.Dial("unix", l.path)
		must(t, err)
		_, err = io.WriteString(c, request11("GET", "/status", ""))
		if err != nil && !errors.Is(err, syscall.EPIPE) {
			t.Fatal(err)
		}
		c.Close()
	}
	_, err := l.client(t).Status()
	must(t, err)
}

func TestAClientThatClosesItsOwnDirectionIsAnswered(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	c := l.connect(t)
	_, err := io.WriteString(c, request11("GET", "/status", ""))
	must(t, err)
	must(t, c.(*net.UnixConn).CloseWrite())
	if resp, _ := readAnswer(t, c); resp.StatusCode != 200 {
		t.Errorf("got %s", resp.Status)
	}
}

func TestAHugeBodyIsRefusedEarly(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"announced": "POST /scale HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n",
		"in chunks": "POST /scale HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6400000\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startLoop(t, running()).connect(t)
			_, err := io.WriteString(c, head)
			must(t, err)
			sent := make(chan int)
			go func() { sent <- writeUntilRefused(c, 100<<20) }()
			resp, _ := readAnswer(t, c)
			if resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("got %s, want 413", resp.Status)
			}
			c.Close()
			if n := await(t, "end of writing", sent); n > 4<<20 {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

func writeUntilRefused(c net.Conn, total int) (n int) {
	piece := make([]byte, 32<<10)
	for n < total {
		m, err := c.Write(piece)
		n += m
		if err != nil {
			break
		}
	}
	return n
}

func TestAHugeHeaderIsRefused(t *testing.T) {
	t.Parallel()
	c := startLoop(t, running()).connect(t)
	go func() { // ends when the server has closed the connection
		_, _ = io.WriteString(c, "GET /status HTTP/1.1\r\nHost: x\r\nX: ")
		writeUntilRefused(c, 10<<20)
	}()
	if resp, _ := readAnswer(t, c); resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %s, want 431", resp.Status)
	}
}

func TestAPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	l := startLoop(t, running())
	l.server.queue = func(string) (int, int) { panic("no such listener") }
	_, err := l.client(t).Status()
	wantText(t, err, "internal error: no such listener")
}

func TestCloseRemovesTheSocketAndTellsThoseWhoWait(t *testing.T) {
	t.Parallel()
	l := startLoop(t, nil)
	c := l.connect(t)
	_, err := io.WriteString(c, request11("GET", "/status", ""))
	must(t, err)
	await(t, "ask", l.asks)   // whole, and never answered
	silent := l.connect(t)    // this one says nothing
	begun := time.Now()       //
	must(t, l.server.Close()) //
	if took := time.Since(begun); took >= patience {
		t.Errorf("it took %s", took)
	}
	resp, body := readAnswer(t, c)
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %s, want 503", resp.Status)
	}
	wantError(t, body, "the master is stopping")
	wantClosed(t, silent)
	if _, err := os.Lstat(l.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	must(t, l.server.Close()) // twice does no harm
}
