package master

import (
	"io"
	"log/slog"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/wire"
)

// told returns the commands that a worker finds, and with how many descriptors.
func told(t *testing.T, fd int) (commands []wire.Command, descriptors int) {
	t.Helper()
	buf, oob := make([]byte, 4096), make([]byte, 128)
	n, oobn, _, _, err := unix.Recvmsg(fd, buf, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, 0
	}
	var lines wire.Lines
	lines.Feed(buf[:n], func(line []byte) {
		c, err := wire.ParseCommand(line)
		if err != nil {
			t.Error(err)
		}
		commands = append(commands, c)
	})
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			_ = unix.Close(fd)
			descriptors++
		}
	}
	return commands, descriptors
}

func TestAWorkerThatTakesCommandsGetsASeat(t *testing.T) {
	t.Parallel()
	m := &master{children: map[int]*child{}, output: &output{file: -1}, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	seated := func(pid int, commands bool) (*child, int) {
		ours, theirs, err := socketpair()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = unix.Close(ours), unix.Close(theirs) })
		c := &child{pid: pid, command: ours}
		m.children[pid] = c
		m.graduate(c, commands, commands)
		m.graduate(c, commands, commands) // says it twice
		return c, theirs
	}
	one, theirs := seated(1, true)
	if got, fds := told(t, theirs); len(got) != 1 || got[0].Type != wire.CommandSeat || got[0].Seat != one.seat || one.seat == 0 || fds != 1 {
		t.Errorf("it was told %+v with %d descriptors; its seat is %d", got, fds, one.seat)
	}
	foreign, theirs := seated(2, false)
	if got, _ := told(t, theirs); len(got) != 0 || foreign.seat != 0 {
		t.Errorf("one that takes no commands was told %+v", got)
	}
	two, _ := seated(3, true)
	if two.seat == one.seat {
		t.Error("two workers have one seat")
	}
	freed := one.seat
	m.discount(1)
	m.discount(2)
	m.discount(4) // nobody
	m.unseat(one)
	m.unseat(one)
	m.unseat(foreign)
	if three, _ := seated(4, true); three.seat != freed {
		t.Errorf("seat %d, want the one that has become free, %d", three.seat, freed)
	}
}

// A worker whose socket is full gets no seat, and nobody waits for it.
func TestASeatThatIsNotTakenIsFree(t *testing.T) {
	t.Parallel()
	m := &master{output: &output{file: -1}, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	ours, theirs, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ours)
	_ = unix.Close(theirs)
	c := &child{command: ours}
	if m.graduate(c, true, true); c.seat != 0 {
		t.Errorf("it has seat %d", c.seat)
	}
	if n := m.board.Sit(); n != 1 {
		t.Errorf("the first free seat is %d", n)
	}
}
