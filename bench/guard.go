package main

import (
	"fmt"
	"time"
)

// expected are ratios that were measured on a quiet machine (docs/performance.md).
// The guard fails below half of one, which no noise does to a median.
var expected = []struct {
	what  string
	a, b  contender
	close bool
	ratio float64
}{
	{"kept connections, to net/http in one process", ours, plain, false, 1.0},
	{"one connection for each request, to a naive prefork", ours, naive, true, 1.2},
	{"one connection for each request, 64 workers to 2", ours.with(64), ours, true, 0.9},
}

// guard takes under two minutes.
func (l *lab) guard() error {
	bad := 0
	for _, e := range expected {
		got, err := l.compare(e.a, e.b, e.close)
		l.stopAll()
		if err != nil {
			return fmt.Errorf("%s: %w", e.what, err)
		}
		verdict := "ok"
		if got < e.ratio/2 {
			verdict = "FAR TOO SLOW"
			bad++
		}
		fmt.Printf("%-55s %.2f, expected %.2f: %s\n", e.what, got, e.ratio, verdict)
	}
	if bad > 0 {
		return fmt.Errorf("%d ratios are below half of what is expected: see what has changed with make bench", bad)
	}
	return nil
}

// compare is the median ratio of five short rounds, by our own generator, so that
// nothing has to be installed.
func (l *lab) compare(a, b contender, close bool) (float64, error) {
	r := &report{}
	var args []string
	if close {
		args = append(args, "-close")
	}
	const rounds = 5
	l.rounds = rounds
	err := l.takeTurns(r, []contender{a, b}, false, func(s *server) error {
		v, err := l.load(s, time.Second, args...)
		if err == nil && v.Errors > 0 {
			err = fmt.Errorf("%d errors: %s", v.Errors, v.Error)
		}
		r.add(s.name, v.Rate)
		return err
	})
	if len(r.skipped) > 0 {
		return 0, fmt.Errorf("%s", r.skipped[0])
	}
	return r.ratio(a.name, b.name), err
}
