package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// meant are words of other servers, and of later versions of this one.
var meant = map[string]string{
	"start":    "without a verb, fugue-http runs",
	"run":      "without a verb, fugue-http runs",
	"restart":  "did you mean reload, which loses no request?",
	"quit":     "did you mean stop?",
	"shutdown": "did you mean stop?",
	"kill":     "did you mean stop --quick?",
	"reopen":   "did you mean reopen-logs?",
	"rotate":   "did you mean reopen-logs?",
	"workers":  "did you mean scale?",
	"ps":       "did you mean status?",
	"info":     "did you mean status?",
	"test":     "did you mean -t?",
	"help":     "did you mean --help?",
	"version":  "did you mean --version?",
}

// unknownVerb says what was probably meant.
func unknownVerb(name string) string {
	switch {
	case meant[name] != "":
		return fmt.Sprintf("unknown verb %q: %s", name, meant[name])
	case strings.HasPrefix(name, "-"):
		return fmt.Sprintf("unknown flag: %s", name)
	case filepath.Ext(name) == ".toml":
		return fmt.Sprintf("unknown verb %q: did you mean -c %s?", name, name)
	case strings.Contains(name, "/"):
		return fmt.Sprintf("unknown verb %q: did you mean -- %s?", name, name)
	case nearest(name) != "":
		return fmt.Sprintf("unknown verb %q: did you mean %s?", name, nearest(name))
	}
	var names []string
	for _, v := range verbs {
		names = append(names, v.name)
	}
	return fmt.Sprintf("unknown verb %q; there are %s", name, strings.Join(names, ", "))
}

// nearest is the verb that name begins, or is a typing error or two away from.
func nearest(name string) string {
	best, least := "", 3
	for _, v := range verbs {
		if len(name) > 1 && strings.HasPrefix(v.name, name) {
			return v.name
		}
		if d := distance(name, v.name); d < least && d < len(name) {
			best, least = v.name, d
		}
	}
	return best
}

// distance counts letters to add, drop or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
