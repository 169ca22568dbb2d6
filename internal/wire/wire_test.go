package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestMessagesSurviveTheirLine(t *testing.T) {
	t.Parallel()
	for _, m := range []Message{
		{Type: Hello},
		{Type: Ready, Commands: true},
		{Type: Ready, Commands: true, Shares: true},
		{Type: Beat, InFlight: 3, OldestMS: 120, Connections: 7, Requests: 1 << 40},
		{Type: Overdue, ID: "7", Method: "GET", Path: "/x?\x1b[31m", Remote: "1.2.3.4:5", AgeMS: 5012, Status: 504, Stack: "main.stuck\n\t/x.go:1\n"},
		{Type: Recovered, ID: "7"},
		{Type: Draining},
		{Type: Reopen},
		{Type: Failed, Reason: "exec ./app: no such file or directory\nsecond line"},
	} {
		line := m.Append(nil)
		if bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Errorf("%+v is not one line: %q", m, line)
		}
		got, err := Parse(line[:len(line)-1])
		if err != nil || got != m {
			t.Errorf("%q reads as %+v, %v", line, got, err)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line string
		want Message
		err  string
	}{
		"as the protocol shows it":   {`{"type":"beat","in_flight":3,"oldest_ms":120}`, Message{Type: Beat, InFlight: 3, OldestMS: 120}, ""},
		"unknown fields":             {`{"type":"ready","new":{"a":[1]}}`, Message{Type: Ready}, ""},
		"unknown type":               {`{"type":"weather"}`, Message{Type: "weather"}, ""},
		"no type":                    {`{}`, Message{}, `no "type"`},
		"not an object":              {`[1]`, Message{}, "cannot unmarshal"},
		"text":                       {`ready`, Message{}, "invalid character"},
		"empty":                      {``, Message{}, "unexpected end"},
		"overdue without id":         {`{"type":"overdue"}`, Message{}, `no "id"`},
		"an id that is too long":     {`{"type":"recovered","id":"` + strings.Repeat("x", 100) + `"}`, Message{Type: Recovered, ID: strings.Repeat("x", 64)}, ""},
		"negative":                   {`{"type":"beat","in_flight":-1}`, Message{}, "negative"},
		"a number that is too large": {`{"type":"beat","in_flight":99999999999999999999}`, Message{}, "cannot unmarshal"},
		"deep":                       {strings.Repeat("[", 20000), Message{}, "exceeded max depth"},
		"nul":                        {"\x00\x00", Message{}, "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse([]byte(c.line))
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if got != c.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestCommandsSurviveTheirLine(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Command{
		`{"type":"drain"}`:              {Type: CommandDrain},
		`{"type":"drain","last":true}`:  {Type: CommandDrain, Last: true},
		`{"type":"stop"}`:               {Type: CommandStop},
		`{"type":"reopen"}`:             {Type: CommandReopen},
		`{"type":"seat","seat":3}`:      {Type: CommandSeat, Seat: 3},
		`{"type":"share","group":4711}`: {Type: CommandShare, Group: 4711},
	} {
		line := string(c.Append(nil))
		if line != want+"\n" {
			t.Errorf("%+v is %q, want %q", c, line, want)
		}
		if got, err := ParseCommand([]byte(want)); err != nil || got != c {
			t.Errorf("%q reads as %+v, %v", want, got, err)
		}
	}
	if c, err := ParseCommand([]byte(`{"type":"drain","new":1}`)); err != nil || c.Type != CommandDrain {
		t.Errorf("a command with an unknown field reads as %+v, %v", c, err)
	}
	if _, err := ParseCommand([]byte("drain")); err == nil {
		t.Error("text is a command")
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxLine+1)
	for name, c := range map[string]struct {
		pieces  []string
		want    []string
		tooLong uint64
	}{
		"whole lines":               {[]string{"a\nb\n"}, []string{"a", "b"}, 0},
		"a line in pieces":          {[]string{"he", "ll", "o\nwo", "rld\n"}, []string{"hello", "world"}, 0},
		"empty lines":               {[]string{"\n\n"}, []string{"", ""}, 0},
		"no end":                    {[]string{"half"}, nil, 0},
		"too long in one piece":     {[]string{long + "\nnext\n"}, []string{"next"}, 1},
		"too long in pieces":        {[]string{long, long, "\nnext\n"}, []string{"next"}, 1},
		"just long enough":          {[]string{long[1:] + "\n"}, []string{long[1:]}, 0},
		"too long by its last byte": {[]string{long[1:], "x\nnext\n"}, []string{"next"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l Lines
			var got []string
			for _, p := range c.pieces {
				l.Feed([]byte(p), func(line []byte) { got = append(got, string(line)) })
			}
			if !reflect.DeepEqual(got, c.want) || l.TooLong != c.tooLong {
				t.Errorf("got %d lines, %d too long; want %d and %d", len(got), l.TooLong, len(c.want), c.tooLong)
			}
		})
	}
}

// FuzzPipe feeds arbitrary bytes in arbitrary pieces, as a hostile worker would.
func FuzzPipe(f *testing.F) {
	f.Add([]byte("{\"type\":\"ready\"}\n{\"type\":\"beat\",\"in_flight\":1}\n"), 5)
	f.Add([]byte("\x00\xff\n\n{"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		size = max(1, min(size, 1<<16))
		var l Lines
		var cut, whole []string
		for rest := stream; len(rest) > 0; {
			n := min(size, len(rest))
			l.Feed(rest[:n], func(line []byte) {
				cut = append(cut, string(line))
				if m, err := Parse(line); err == nil && m.Type == "" {
					t.Errorf("%q has no type and no error", line)
				}
			})
			rest = rest[n:]
		}
		(&Lines{}).Feed(stream, func(line []byte) { whole = append(whole, string(line)) })
		if !reflect.DeepEqual(cut, whole) {
			t.Errorf("in pieces of %d: %q, in one: %q", size, cut, whole)
		}
	})
}

func BenchmarkParseBeat(b *testing.B) {
	line := Message{Type: Beat, InFlight: 3, OldestMS: 120, Requests: 123456}.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}
