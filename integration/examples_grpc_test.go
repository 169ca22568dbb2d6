package integration

import (
	"encoding/binary"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"testing"
)

// Workers that are replaced lose no call; streams are told to call again.
func TestExampleGRPCReloadLosesNoCall(t *testing.T) {
	t.Parallel()
	s := startExample(t, "server", "workers = 2\n")
	calls, pause := 5000, "10ms"
	if loadFull() {
		calls, pause = 50_000, "1ms"
	}
	c := s.call("-calls", strconv.Itoa(calls), "-connections", "8", "-pause", pause, "-streams")
	const reloads = 4
	for i := range reloads {
		c.thousands(max(1, i*calls/reloads/1000))
		s.reload()
	}
	got := c.endWhole()
	if got.Calls < int64(calls) {
		t.Errorf("only %d calls", got.Calls)
	}
	if told := got.Streams["Unavailable"]; told == 0 || told+got.Streams["Canceled"] != 8 {
		t.Errorf("streams ended with %v", got.Streams)
	}
	s.onlyReloaded()
}

// A call that is stuck has its DeadlineExceeded when the timeout has passed. Its
// neighbours on the same connection, calls and a stream, go on.
func TestExampleGRPCStuckCall(t *testing.T) {
	t.Parallel()
	s := startExample(t, "server", "workers = 1\ntimeout = \"2s\"\n[watch]\ngrace = \"60s\"\n")
	before := pids(s.status())
	c := s.call("-connections", "1", "-pause", "2ms", "-streams", "-stuck")
	c.says.wait(t, "the stuck call has ended", c.done)
	c.moreThousands(1)
	in := s.incident("/greeter.Greeter/Hello", "open")
	if !strings.Contains(in.Stack, "main.stuck") {
		t.Errorf("the incident does not show where it is stuck: %+v", in)
	}
	got := c.endWhole()
	if got.Stuck.Code != "DeadlineExceeded" || got.Stuck.Took < 2000 || got.Stuck.Took > 10_000 {
		t.Errorf("the stuck call ended with %+v", got.Stuck)
	}
	if got.Stuck.After == 0 || got.Ticks == 0 || !maps.Equal(got.Streams, map[string]int{"Canceled": 1}) {
		t.Errorf("its neighbours: %d calls after it, %d ticks, streams ended with %v", got.Stuck.After, got.Ticks, got.Streams)
	}
	s.noneReplaced(before)
}

// When the grace has passed as well the worker is replaced, and its stream told.
func TestExampleGRPCStuckWorkerIsReplaced(t *testing.T) {
	t.Parallel()
	s := startExample(t, "server", "workers = 1\ntimeout = \"2s\"\n[watch]\ngrace = \"100ms\"\n")
	old := pids(s.status())[1]
	c := s.call("-connections", "1", "-calls", "0", "-depth", "0", "-streams", "-stuck")
	s.incident("/greeter.Greeter/Hello", "killed")
	s.replaced(1, old)
	got := c.end()
	if got.Stuck.Code != "DeadlineExceeded" || !maps.Equal(got.Streams, map[string]int{"Unavailable": 1}) {
		t.Errorf("the stuck call ended with %+v, streams with %v", got.Stuck, got.Streams)
	}
}

// A worker that leaves says so with GOAWAY, and waits for the client to hang up.
func TestExampleGRPCDrainSendsGoAway(t *testing.T) {
	t.Parallel()
	s := startExample(t, "server", "workers = 1\n")
	c := s.dial()
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	if _, err := io.WriteString(c, preface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil { // and empty SETTINGS
		t.Fatal(err)
	}
	const settings, ping, goAway = 4, 6, 7
	awaitFrame(t, c, settings)
	s.hup()
	if last := awaitFrame(t, c, goAway); binary.BigEndian.Uint32(last) != 1<<31-1 {
		t.Errorf("the first GOAWAY refuses calls that are on their way: %x", last)
	}
	answer := awaitFrame(t, c, ping)
	if _, err := c.Write(append([]byte("\x00\x00\x08\x06\x01\x00\x00\x00\x00"), answer...)); err != nil {
		t.Fatal(err)
	}
	if last := awaitFrame(t, c, goAway); binary.BigEndian.Uint32(last) != 0 {
		t.Errorf("the last GOAWAY names a call that nobody made: %x", last)
	}
	if rest, err := io.ReadAll(c); err != nil {
		t.Errorf("the connection did not end in order: %v, %x", err, rest)
	}
	s.settled(1)
}

// awaitFrame skips frames of HTTP/2 until one of this kind, and returns what it holds.
func awaitFrame(t *testing.T, c net.Conn, kind byte) []byte {
	t.Helper()
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(c, head); err != nil {
			t.Fatalf("no frame of type %d: %v", kind, err)
		}
		body := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(c, body); err != nil {
			t.Fatal(err)
		}
		if head[3] == kind && head[4] == 0 { // no flag: not the acknowledgement of ours
			return body
		}
	}
}
