package config

import (
	"math"
	"slices"
	"strings"
	"sync"
)

// notYet are keys and tables of the design that this version does not have. A
// feature that comes takes its name out.
var notYet = []string{
	"access_log", "admin",
	"listener.tls_cert", "listener.tls_key", "listener.proxy_protocol",
	"http.max_body",
}

const sayNotYet = "known, but not in this version yet"

// unknown says of a key that is not ours what was probably meant.
func unknown(at, name string) string {
	path := joinKey(plainKey(at), name)
	if isNotYet(path) {
		return sayNotYet
	}
	if text, ok := foreign(path, name); ok {
		return text
	}
	if near := nearest(path); near != "" {
		return didYouMean(near)
	}
	return "unknown key"
}

func didYouMean(path string) string {
	text := "unknown key; did you mean " + path + "?"
	if isNotYet(path) {
		text += " (" + sayNotYet + ")"
	}
	return text
}

// isNotYet also holds for the keys of a table that is to come.
func isNotYet(path string) bool {
	return slices.ContainsFunc(notYet, func(p string) bool {
		return path == p || strings.HasPrefix(path, p+".")
	})
}

// knownPaths lists what a misspelt key may have meant: keys and tables.
var knownPaths = sync.OnceValue(func() []string {
	paths := slices.Clone(notYet)
	for _, t := range tables() {
		paths = append(paths, t.path)
	}
	for _, k := range Keys() {
		paths = append(paths, k.Name)
	}
	return paths
})

// nearest finds the known key that path is closest to, "" if none is close. The
// same table goes before others.
func nearest(path string) string {
	best, bestCost := "", math.MaxInt
	for _, known := range knownPaths() {
		if cost, ok := unlikeness(path, known); ok && cost < bestCost {
			best, bestCost = known, cost
		}
	}
	return best
}

// unlikeness counts the typing errors between the last names of two paths, two
// for each; another table counts as one more. More errors than a third of the
// name has letters are another name.
func unlikeness(path, known string) (int, bool) {
	a, b := fold(lastName(path)), fold(lastName(known))
	if len(a) > 64 || len(b) > 64 {
		return 0, false
	}
	errors := typos(a, b)
	cost := 2 * errors
	if tableOf(path) != tableOf(known) {
		cost++
	}
	return cost, errors <= max(1, len(a)/3) && errors < min(len(a), len(b))
}

func lastName(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// fold forgives capitals and hyphens.
func fold(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "-", "_")
}

// typos is the edit distance with swapped neighbours as one error (optimal
// string alignment).
func typos(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			differ := 1
			if a[i-1] == b[j-1] {
				differ = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+differ)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
