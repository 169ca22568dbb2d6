package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	var (
		rounds  = flag.Int("rounds", 5, "rounds of each case")
		only    = flag.String("cases", "", "names of cases, with commas between them; all if empty")
		turn    = flag.Duration("turn", 2*time.Second, "how long one contender is measured in one round")
		out     = flag.String("out", "", "file whose tables are replaced (docs/performance.md)")
		quick   = flag.Bool("quick", false, "a few ratios only; fails if one is below half of what is expected")
		list    = flag.Bool("list", false, "name the cases")
		useOnly = flag.String("contenders", "", "names of contenders, with semicolons between them; all if empty")
	)
	flag.Parse()
	if *list {
		for _, c := range cases {
			fmt.Printf("%-14s %s\n", c.name, c.title)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := newLab(ctx, *rounds, *turn, split(*useOnly, ";"))
	if err == nil {
		err = l.do(*quick, split(*only, ","), *out)
		l.close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (l *lab) do(quick bool, only []string, out string) error {
	if quick {
		return l.guard()
	}
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	var reports []*report
	for _, c := range chosen {
		r, err := l.runCase(c)
		if err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
		fmt.Println(r.text())
		reports = append(reports, r)
		if out != "" {
			if err := replaceTables(out, reports); err != nil {
				return err
			}
		}
	}
	return nil
}

func split(s, sep string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, sep)
}

func choose(only []string) ([]*testCase, error) {
	if len(only) == 0 {
		return cases, nil
	}
	var chosen []*testCase
	for _, name := range only {
		found := false
		for _, c := range cases {
			if c.name == name {
				chosen, found = append(chosen, c), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no case %q (-list names them)", name)
		}
	}
	return chosen, nil
}
