package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// result is what one turn found; loadResult is the generator's.
type loadResult struct {
	Requests, Errors    int64
	Error               string
	Seconds, Rate       float64
	P50, P99, P999, Max int64
	Who                 map[string]int64
}

// alone runs a generator in a session of its own and returns its output.
func (l *lab) alone(argv ...string) (string, error) {
	cmd := exec.CommandContext(l.ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// load runs our generator for one turn.
func (l *lab) load(s *server, turn time.Duration, args ...string) (loadResult, error) {
	var r loadResult
	text, err := l.alone(append([]string{l.program("load"), "-address", s.address, "-d", turn.String()}, args...)...)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(text), &r)
}

var (
	wrkRate  = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	wrkCount = regexp.MustCompile(`(\d+) requests in`)
	wrkP99   = regexp.MustCompile(`99%\s+([\d.]+)(us|ms|s)`)
	wrkBad   = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	wrkErr   = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

// wrk measures requests per second over TCP.
func (l *lab) wrk(s *server, turn time.Duration, path string, close bool) (loadResult, error) {
	var r loadResult
	args := []string{"wrk", "-t2", "-c64", "--latency", "-d", strconv.Itoa(max(1, int(turn.Seconds())))}
	if close {
		args = append(args, "-H", "Connection: close")
	}
	text, err := l.alone(append(args, "http://"+s.address+path)...)
	if err != nil {
		return r, err
	}
	if m := wrkCount.FindStringSubmatch(text); m != nil {
		r.Requests, _ = strconv.ParseInt(m[1], 10, 64)
	}
	m := wrkRate.FindStringSubmatch(text)
	if m == nil {
		return r, fmt.Errorf("wrk tells no rate: %s", text)
	}
	r.Rate, _ = strconv.ParseFloat(m[1], 64)
	if m := wrkP99.FindStringSubmatch(text); m != nil {
		d, _ := time.ParseDuration(m[1] + m[2])
		r.P99 = d.Microseconds()
	}
	for _, re := range []*regexp.Regexp{wrkBad, wrkErr} {
		if m := re.FindString(text); m != "" {
			r.Error = m
		}
	}
	return r, nil
}

// mustHaveWrk says why a case cannot be run.
func mustHaveWrk() string {
	if _, err := exec.LookPath("wrk"); err != nil {
		return "wrk is not installed (Debian: apt-get install wrk)"
	}
	return ""
}
