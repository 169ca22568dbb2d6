package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// series are the values of one contender, one a round.
type series []float64

func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	t := slices.Sorted(slices.Values(s))
	if n := len(t); n%2 == 0 {
		return (t[n/2-1] + t[n/2]) / 2
	}
	return t[len(t)/2]
}

// row is one line of a table.
type row struct {
	name     string
	values   series
	p50, p99 series // milliseconds, beside the value
	cost     series // microseconds of the processor for each request
	wrong    string // the first error of the generator
	unit     string // overrides that of the report
}

// complain keeps the first of what went wrong.
func (w *row) complain(what string) {
	if w.wrong == "" {
		w.wrong = what
	}
}

// note is what stands beside the numbers.
func (w *row) note() string {
	var parts []string
	if len(w.p50) > 0 {
		parts = append(parts, "half within "+number(w.p50.median())+" ms")
	}
	if len(w.p99) > 0 {
		parts = append(parts, "99 % within "+number(w.p99.median())+" ms")
	}
	if len(w.cost) > 0 {
		parts = append(parts, number(w.cost.median())+" us of CPU each")
	}
	if w.wrong != "" {
		parts = append(parts, "errors: "+w.wrong)
	}
	return strings.Join(parts, "; ")
}

// report is the table of one case.
type report struct {
	name, title, unit string
	reference         string // the row that ratios are of, "" without ratios
	rows              []*row
	skipped           []string
	rounds            int
	turn              time.Duration
}

func (r *report) row(name string) *row {
	for _, w := range r.rows {
		if w.name == name {
			return w
		}
	}
	w := &row{name: name}
	r.rows = append(r.rows, w)
	return w
}

func (r *report) add(name string, v float64) { w := r.row(name); w.values = append(w.values, v) }

// ratio is the median of the rounds' ratios: two values of one round were disturbed
// alike.
func (r *report) ratio(name, to string) float64 {
	a, b := r.row(name).values, r.row(to).values
	var all series
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			all = append(all, a[i]/b[i])
		}
	}
	return all.median()
}

// text is the report as Markdown.
func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s (`%s`)\n\n", r.title, r.name)
	fmt.Fprintf(&b, "%d rounds, %s; %s.\n\n", r.rounds, machine(), time.Now().Format("2 January 2006"))
	ratio := r.reference != ""
	b.WriteString("| | median | lowest to highest |")
	if ratio {
		fmt.Fprintf(&b, " to %s |", r.reference)
	}
	b.WriteString(" |\n|---|---|---|---|")
	if ratio {
		b.WriteString("---|")
	}
	b.WriteString("\n")
	for _, w := range r.rows {
		if len(w.values) == 0 {
			continue
		}
		unit := w.unit
		if unit == "" {
			unit = r.unit
		}
		fmt.Fprintf(&b, "| %s | %s %s | %s to %s |", w.name, number(w.values.median()), unit, number(slices.Min(w.values)), number(slices.Max(w.values)))
		if ratio {
			fmt.Fprintf(&b, " %.2f |", r.ratio(w.name, r.reference))
		}
		fmt.Fprintf(&b, " %s |\n", w.note())
	}
	for _, s := range r.skipped {
		fmt.Fprintf(&b, "\nSkipped: %s.\n", s)
	}
	return b.String()
}

func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// replaceTables puts each report between its marks in the file, and those without
// marks at its end.
func replaceTables(path string, reports []*report) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	doc := string(text)
	for _, r := range reports {
		begin, end := fmt.Sprintf("<!-- bench %s -->", r.name), fmt.Sprintf("<!-- end %s -->", r.name)
		block := begin + "\n" + r.text() + end
		marks := regexp.MustCompile(`(?s)` + regexp.QuoteMeta(begin) + `.*?` + regexp.QuoteMeta(end))
		if marks.MatchString(doc) {
			doc = marks.ReplaceAllLiteralString(doc, block)
		} else {
			doc += "\n" + block + "\n"
		}
	}
	return os.WriteFile(path, []byte(doc), 0o644)
}
