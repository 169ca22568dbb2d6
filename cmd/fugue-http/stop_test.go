package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/fugue-http/fugue/internal/control"
)

// TestAStopRefusesNewClients: while the last requests are being answered, nobody
// else is left to wait in a queue that will not be served.
func TestAStopRefusesNewClients(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	cmd := fugueHTTP(dir, "-l", "127.0.0.1:0", "-w", "2", "-s", "ctl")
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	awaitRunning(t, dir)
	text, err := fugueHTTP(dir, "status", "--json", "-s", "ctl").Output()
	must(t, err)
	var st control.Status
	must(t, json.Unmarshal(text, &st))
	address := st.Listeners[0].Address

	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get("http://" + address + "/sleep?for=3s")
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		answered <- err
	}()
	awaitStatus(t, dir, `"in_flight": 1,`, "--json")
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	refused := func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	for !refused() {
		select {
		case err := <-answered:
			t.Fatalf("connections were taken until the last request was answered (%v)", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	must(t, <-answered)
	must(t, cmd.Wait())
}
