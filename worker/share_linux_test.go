package worker

import (
	"net/http"
	"testing"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/sockets"
)

// The master hands over the sockets of other slots: what waits there is served, too,
// and on a full stop before the worker leaves.
func TestAWorkerServesTheSocketsOfOthers(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*inside){
		"full stop":   func(i *inside) { i.drainLast(t) },
		"master gone": func(i *inside) { i.cut() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servesOthers(t, leave)
		})
	}
}

func servesOthers(t *testing.T, leave func(*inside)) {
	const n = 64 // more than the other commands carry
	l, err := sockets.Listen(sockets.Address{Network: "tcp", Host: "127.0.0.1", Port: "0"}, sockets.Options{ReusePort: true})
	check(t, err)
	check(t, l.Grow(n, sockets.Options{ReusePort: true}))
	i := newInsideOn(t, testSettings, socket{fd: l.SlotFD(1), addr: l.Address()})
	ended := i.serve(t, &http.Server{Handler: http.HandlerFunc(echo)})
	i.write(t, wire.Command{Type: wire.CommandShare, Group: l.Group()}) // none
	i.write(t, wire.Command{Type: wire.CommandShare, Group: l.Group()}, l.FDs()[:n-1]...)
	i.write(t, wire.Command{Type: wire.CommandShare, Group: l.Group()}, l.FDs()[n-1])
	for range 8 {
		keepAlive(t).get(t, i.socket.url("/"))
	}
	clients := queue(t, i.socket, 16)
	check(t, l.Close()) // as the master does
	leave(i)
	for n, c := range clients {
		if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Errorf("client %d: %v", n, err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("client %d of %d: %v", n, len(clients), err)
		}
	}
	check(t, within(t, "Serve", ended))
}
