package proxy

import (
	"net/http"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// An app that is slow to accept is waited for, on a Unix socket as on TCP.
func TestFullQueueIsWaitedFor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = unix.Listen(fd, 0) // room for one
	}
	if err != nil {
		t.Fatal(err)
	}
	u := upstream{address{"unix", path}, &app{died: make(chan struct{})}}
	first, err := u.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	f := frontOf(t, u.address, 0)
	status := make(chan int, 1)
	go func() {
		resp, err := http.Get(f.URL)
		if err != nil {
			status <- 0
			return
		}
		resp.Body.Close()
		status <- resp.StatusCode
	}()
	eventually(t, "the request is under way", func() bool { return f.handler.inFlight.Load() == 1 })
	serve := func(c int) {
		defer unix.Close(c)
		_, _ = unix.Read(c, make([]byte, 4096))
		_, _ = unix.Write(c, []byte("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"))
	}
	for i := range 2 {
		c, _, err := unix.Accept(fd)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			serve(c)
		} else {
			unix.Close(c)
		}
	}
	if got := <-status; got != http.StatusNoContent {
		t.Errorf("status %d", got)
	}
}
