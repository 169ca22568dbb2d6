package httpwatch

import (
	"bufio"
	"bytes"
	"fmt"
	"runtime/pprof"
	"strings"
)

// maxStack bounds the text of one incident's stacks, in bytes.
const maxStack = 16 << 10

// stacks takes one goroutine profile (about a millisecond for a thousand
// goroutines, with the world stopped for part of it) and returns the stacks of
// those that carry the label of a seat, by the seat's name.
func stacks() map[string]string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return nil
	}
	return parseProfile(profile.String())
}

// parseProfile reads the text form of a goroutine profile:
//
//	1 @ 0x46d1a1 0x46e0a5
//	# labels: {"fugue.request":"17"}
//	#	0x46d1a0	main.stuck+0x20	/src/main.go:10
//
// Goroutines with the same stack and labels stand there once, with their number.
// That of the handler comes first, then those that it started.
func parseProfile(text string) map[string]string {
	found := map[string]string{}
	for block := range strings.SplitSeq(text, "\n\n") {
		name, stack, ok := parseBlock(block)
		other := found[name]
		switch {
		case !ok || strings.Contains(stack, "net/http.(*connReader).backgroundRead\n"): // waits for the client to go
		case other == "":
			found[name] = clip(stack)
		case strings.Contains(stack, thisPackage+"(*Watch).serve\n"):
			found[name] = clip(stack + "\n" + other)
		default:
			found[name] = clip(other + "\n" + stack)
		}
	}
	return found
}

func parseBlock(block string) (name, stack string, ok bool) {
	var b strings.Builder
	lines := bufio.NewScanner(strings.NewReader(block))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "# labels: "):
			name, ok = labelOf(line)
		case strings.HasPrefix(line, "#\t"):
			b.WriteString(frame(line))
		case strings.Contains(line, " @ "):
			n, _, _ := strings.Cut(line, " @ ")
			fmt.Fprintf(&b, "goroutines: %s\n", n)
		}
	}
	stack = strings.TrimPrefix(b.String(), "goroutines: 1\n")
	return name, stack, ok && stack != ""
}

// labelOf takes our label out of the line with all of them, which is JSON-like
// with quoted strings.
func labelOf(line string) (string, bool) {
	_, after, found := strings.Cut(line, `"`+labelKey+`":"`)
	if !found {
		return "", false
	}
	name, _, closed := strings.Cut(after, `"`)
	return name, closed
}

// frame turns one line of the profile into the two of a Go trace. The profile
// aligns its columns: there may be several tabs before the place.
func frame(line string) string {
	fields := strings.Split(line, "\t")
	if len(fields) < 4 {
		return ""
	}
	function, _, _ := strings.Cut(fields[2], "+0x")
	return function + "\n\t" + fields[len(fields)-1] + "\n"
}

func clip(s string) string {
	if len(s) <= maxStack {
		return s
	}
	return s[:strings.LastIndexByte(s[:maxStack], '\n')+1] + "…\n"
}
