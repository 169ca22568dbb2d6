package worker

import (
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/sockets"
)

// inside is a worker in the test's own process, with a real listener, pipe and
// command socket.
type inside struct {
	*worker
	*link
	socket socket
	exited chan int // what it would have exited with
}

func newInside(t testing.TB, settings wire.Settings) *inside {
	t.Helper()
	return newInsideOn(t, settings, newSocket(t))
}

func newInsideOn(t testing.TB, settings wire.Settings, s socket) *inside {
	t.Helper()
	i := &inside{link: newLink(t), socket: s, exited: make(chan int, 4)}
	in := inheritance{
		master: true, id: 1, generation: 1, settings: settings,
		pipe: i.near[0], command: i.near[1], listeners: []int{dup(t, i.socket.fd)},
	}
	in.fillSettings()
	i.worker = newWorker(in, func(code int) { i.exited <- code })
	i.attach(nil)
	check(t, i.err)
	i.listen()
	t.Cleanup(func() {
		i.cut()
		within(t, "end of the beats", i.silent)
		unix.Close(i.near[0])
	})
	return i
}

func dup(t testing.TB, fd int) int {
	t.Helper()
	d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	check(t, err)
	return d
}

// serve runs srv and returns what Run returns.
func (i *inside) serve(t testing.TB, srv Server) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- i.run(srv, apply(nil)) }()
	i.awaitType(t, wire.Ready)
	return ended
}

func TestAttachKeepsTheListenerNonblocking(t *testing.T) {
	t.Parallel()
	i := newInside(t, testSettings)
	i.socket.assertNonblocking(t, "after attach")
	i.drain()
	for _, g := range i.taken.gates {
		g.Close()
	}
	i.socket.assertNonblocking(t, "after drain")
}

// What a master has made blocking by mistake is made right.
func TestAttachRepairsABlockingListener(t *testing.T) {
	t.Parallel()
	s := newSocket(t)
	check(t, unix.SetNonblock(s.fd, false))
	ln, err := sockets.NewSeat().Listen(dup(t, s.fd))
	check(t, err)
	defer ln.Close()
	s.assertNonblocking(t, "after attach")
}

func TestTermIsAQuickStop(t *testing.T) {
	t.Parallel()
	j := newInside(t, testSettings)
	j.signalUnderMaster(unix.SIGTERM)
	if !isClosed(j.stopping) {
		t.Error("TERM did not stop")
	}
	if code := within(t, "exit", j.exited); code != 0 {
		t.Errorf("exit %d after a stop that main ignores, want 0", code)
	}
}

func TestUnknownAndMalformedCommandsAreIgnored(t *testing.T) {
	t.Parallel()
	i := newInside(t, testSettings)
	_, err := i.link.commands.Write([]byte("nonsense\n{\"type\":\"dance\"}\n{\"type\":\"reopen\"}\n{\"type\":"))
	check(t, err)
	i.awaitType(t, wire.Beat)
	if isClosed(i.draining) {
		t.Error("drains")
	}
	_, err = i.link.commands.Write([]byte("\"drain\"}\n"))
	check(t, err)
	within(t, "drain", i.draining)
}

func TestStrayDescriptorsAreClosed(t *testing.T) {
	t.Parallel()
	i := newInside(t, testSettings)
	read, write, err := os.Pipe()
	check(t, err)
	defer read.Close()
	fd := rawDup(t, write)
	i.command(t, "dance", fd, fd, fd)
	i.command(t, wire.CommandReopen, fd) // one is not enough
	unix.Close(fd)
	write.Close()
	check(t, read.SetReadDeadline(time.Now().Add(limit)))
	if n, err := read.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
		t.Errorf("read %d, %v: the worker kept a descriptor", n, err)
	}
}

func TestRunIsForOnce(t *testing.T) {
	t.Parallel()
	i := newInside(t, testSettings)
	ended := i.serve(t, &plainServer{})
	if err := i.run(&plainServer{}, apply(nil)); err != errTwice {
		t.Errorf("second Run = %v", err)
	}
	i.drain()
	check(t, within(t, "Run", ended))
}

func TestMasterWithoutListenersIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorker(inheritance{master: true, pipe: -1, command: -1, settings: defaults}, nil)
	w.signalsOnce.Do(func() {}) // the test's own signals are none of its business
	if err := w.run(&plainServer{}, apply(nil)); err != errNoListeners {
		t.Errorf("Run = %v, want %v", err, errNoListeners)
	}
}

func TestPipeOwesWordsAndDropsBeats(t *testing.T) {
	t.Parallel()
	l := newLink(t)
	defer unix.Close(l.near[0])
	defer unix.Close(l.near[1])
	n := l.full(t)
	out := pipe{fd: l.near[0]}
	for range 100 {
		check(t, out.write(wire.Message{Type: wire.Beat}, false))
	}
	check(t, out.write(wire.Message{Type: wire.Ready}, true))
	check(t, out.write(wire.Message{Type: wire.Beat}, false))
	check(t, out.write(wire.Message{Type: wire.Draining}, true))
	l.empty(t, n)
	check(t, out.write(wire.Message{Type: wire.Beat, Requests: 9}, false))
	for _, want := range []wire.Type{wire.Ready, wire.Draining, wire.Beat} {
		if m := within(t, "line", l.messages); m.Type != want {
			t.Errorf("said %q, want %q", m.Type, want)
		}
	}
}

func TestPipeWithoutReaderIsAnError(t *testing.T) {
	t.Parallel()
	l := newLink(t)
	defer unix.Close(l.near[0])
	defer unix.Close(l.near[1])
	l.cut()
	out := pipe{fd: l.near[0]}
	if err := out.write(wire.Message{Type: wire.Beat}, false); err == nil {
		t.Error("no error, though the master is gone")
	}
}

// The master hands over memory in which the workers say what they hold.
func TestAWorkerTakesItsSeat(t *testing.T) {
	t.Parallel()
	board, err := sockets.NewBoard()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("workers accept without regard to each other here")
	}
	check(t, err)
	defer board.Close()
	i := newInside(t, testSettings)
	ended := i.serve(t, &http.Server{Handler: http.HandlerFunc(echo)})
	i.write(t, wire.Command{Type: wire.CommandSeat}, board.FD())                        // no seat
	i.write(t, wire.Command{Type: wire.CommandSeat, Seat: board.Sit()}, i.link.near[0]) // no board
	i.write(t, wire.Command{Type: wire.CommandSeat, Seat: board.Sit()}, board.FD())
	for range 3 { // it serves before, meanwhile and afterwards
		keepAlive(t).get(t, i.socket.url("/"))
	}
	i.drain()
	check(t, within(t, "Serve", ended))
	i.write(t, wire.Command{Type: wire.CommandSeat, Seat: board.Sit()}, board.FD()) // too late
}
