package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fugue-http/fugue/internal/control"
)

// view is the status for people: a line about the master, a table of workers,
// and what has happened so far.
func view(st control.Status, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "fugue-http %s  pid %d  %s  generation %d  %d of %d workers ready\n",
		st.Version, st.PID, st.State, st.Generation, ready(st), st.WorkersWanted)
	fmt.Fprintf(&b, "listening on %s\n", listeners(st))
	if len(st.Workers) > 0 {
		b.WriteString("\n" + table(st.Workers, now))
	}
	fmt.Fprintf(&b, "\nspawned %d, exits: %s\n", st.Counters.Spawned, exits(st.Counters.Exits))
	b.WriteString(troubles(st))
	return printable(b.String())
}

func ready(st control.Status) (n int) {
	for _, w := range st.Workers {
		if w.State == "ready" {
			n++
		}
	}
	return n
}

// listeners leaves out the queues of unix sockets, which the kernel does not tell.
func listeners(st control.Status) string {
	var all []string
	for _, l := range st.Listeners {
		text := l.Address
		if !strings.HasPrefix(l.Address, "unix:") {
			text += fmt.Sprintf(" (queue %d of %d)", l.Queue, l.Backlog)
		}
		all = append(all, text)
	}
	return orNone(all)
}

// exits are those that were, by cause.
func exits(by map[string]uint64) string {
	var all []string
	for _, cause := range slices.Sorted(maps.Keys(by)) {
		if by[cause] > 0 {
			all = append(all, fmt.Sprintf("%s %d", cause, by[cause]))
		}
	}
	return orNone(all)
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// troubles are lines that a healthy master does not have.
func troubles(st control.Status) string {
	var b strings.Builder
	for _, t := range []struct {
		n    uint64
		what string
	}{
		{st.Counters.SpawnFail, "processes that the kernel refused"},
		{st.Counters.PipeJunk, "malformed lines from workers"},
		{st.Counters.LogsLost, "log lines that could not be written"},
	} {
		if t.n > 0 {
			fmt.Fprintf(&b, "%s: %d\n", t.what, t.n)
		}
	}
	if r := st.LastReload; r != nil {
		fmt.Fprintf(&b, "last %s: %s at %s %s", r.Kind, r.Result, r.At.Format(time.DateTime),
			strings.ReplaceAll(strings.TrimRight(r.Reason, "\n"), "\n", "\n  "))
		return strings.TrimRight(b.String(), " ") + "\n"
	}
	return b.String()
}

// columns of the table; all but the state are numbers, and flush right.
var columns = []struct {
	title string
	cell  func(w control.Worker, now time.Time) string
}{
	{"worker", func(w control.Worker, _ time.Time) string { return strconv.Itoa(w.ID) }},
	{"pid", func(w control.Worker, _ time.Time) string { return strconv.Itoa(w.PID) }},
	{"gen", func(w control.Worker, _ time.Time) string { return strconv.Itoa(w.Generation) }},
	{stateTitle, func(w control.Worker, _ time.Time) string { return w.State }},
	{"age", func(w control.Worker, now time.Time) string { return age(now.Sub(w.StartedAt)) }},
	{"in flight", func(w control.Worker, _ time.Time) string { return strconv.FormatInt(w.InFlight, 10) }},
	{"oldest", func(w control.Worker, _ time.Time) string { return oldest(w) }},
	{"requests", func(w control.Worker, _ time.Time) string { return strconv.FormatUint(w.Requests, 10) }},
	{"memory", func(w control.Worker, _ time.Time) string { return memory(w.RSSBytes) }},
	{"restarts", func(w control.Worker, _ time.Time) string { return strconv.Itoa(w.Restarts) }},
}

const stateTitle = "state"

// table sets each column as wide as its widest cell.
func table(workers []control.Worker, now time.Time) string {
	rows := make([][]string, len(workers)+1)
	widths := make([]int, len(columns))
	for i, c := range columns {
		rows[0] = append(rows[0], strings.ToUpper(c.title))
		for k, w := range workers {
			rows[k+1] = append(rows[k+1], c.cell(w, now))
		}
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			width := widths[i]
			if columns[i].title == stateTitle {
				width = -width
			}
			row[i] = fmt.Sprintf("%*s", width, cell)
		}
		b.WriteString(strings.TrimRight(strings.Join(row, "  "), " ") + "\n")
	}
	return b.String()
}

// age is as precise as people want it.
func age(d time.Duration) string {
	d = max(d, 0)
	switch hours := int(d / time.Hour); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d/time.Minute), int(d/time.Second)%60)
	case hours < 24:
		return fmt.Sprintf("%dh%02dm", hours, int(d/time.Minute)%60)
	default:
		return fmt.Sprintf("%dd%02dh", hours/24, hours%24)
	}
}

func oldest(w control.Worker) string {
	switch d := time.Duration(w.OldestMS) * time.Millisecond; {
	case w.InFlight == 0:
		return "-"
	case d < time.Second:
		return fmt.Sprintf("%dms", w.OldestMS)
	default:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
}

func memory(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}

// printable keeps what comes from elsewhere from commanding the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
