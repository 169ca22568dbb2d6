package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// life measures what a deploy and an accident take, with one server a round.
func life(l *lab, r *report) error {
	r.unit = "ms"
	for range l.rounds {
		for _, measure := range []func(*lab, *report) error{firstAnswer, respawn, hundred, roll} {
			if err := measure(l, r); err != nil {
				return err
			}
			l.stopAll()
		}
	}
	return nil
}

func (l *lab) fugueNow(workers int, more string) (*server, contender, error) {
	c := ours.with(workers)
	address, err := l.tcp()
	if err != nil {
		return nil, c, err
	}
	s, err := l.fugue(c, address, more)
	return s, c, err
}

func firstAnswer(l *lab, r *report) error {
	began := time.Now()
	s, _, err := l.fugueNow(2, "")
	if err != nil {
		return err
	}
	for {
		if _, err := s.get("/"); err == nil {
			r.add("start of 2 workers to the first answer", ms(began))
			return nil
		}
		if time.Since(began) > startLimit {
			return l.await(s) // says why
		}
		time.Sleep(time.Millisecond)
	}
}

// respawn kills one of two workers and waits until its successor is ready.
func respawn(l *lab, r *report) error {
	s, c, err := l.fugueNow(2, "")
	if err != nil {
		return err
	}
	if err := l.await(s); err != nil {
		return err
	}
	before, err := l.workers(c, "ready", 2)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := syscall.Kill(before[0].PID, syscall.SIGKILL); err != nil {
		return err
	}
	for {
		now, err := l.workers(c, "ready", 2)
		if err != nil {
			return err
		}
		if now[0].PID != before[0].PID && now[1].PID != before[0].PID {
			r.add("kill -9 of a worker until its successor is ready", ms(began))
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

func hundred(l *lab, r *report) error {
	began := time.Now()
	s, c, err := l.fugueNow(100, "")
	if err != nil {
		return err
	}
	if err := l.await(s); err != nil {
		return err
	}
	if _, err := l.workers(c, "ready", 100); err != nil {
		return err
	}
	r.add("start of 100 workers until all are ready", ms(began))
	return nil
}

// roll replaces 8 workers under load.
func roll(l *lab, r *report) error {
	s, c, err := l.fugueNow(8, "[http]\nlinger = \"200ms\"")
	if err != nil {
		return err
	}
	if err := l.await(s); err != nil {
		return err
	}
	if _, err := l.workers(c, "ready", 8); err != nil {
		return err
	}
	load := make(chan loadResult, 1)
	go func() {
		v, err := l.load(s, 4*time.Second, "-rate", "2000", "-close")
		if err != nil {
			v.Error = err.Error()
		}
		load <- v
	}()
	time.Sleep(300 * time.Millisecond)
	began := time.Now()
	out, err := exec.CommandContext(l.ctx, l.program("fugue-http"), "reload", "--wait", "-s", l.controlPath(c)).CombinedOutput()
	took := ms(began)
	v := <-load
	if err != nil {
		return fmt.Errorf("reload: %w: %s", err, out)
	}
	const name = "reload --wait of 8 workers under 2000 requests/s"
	r.add(name, took)
	r.row(name).complain(v.Error)
	return nil
}

func ms(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }

// workerStatus is what is needed of GET /status.
type workerStatus struct {
	PID   int    `json:"pid"`
	State string `json:"state"`
}

type status struct {
	PID     int            `json:"pid"`
	Workers []workerStatus `json:"workers"`
}

func (l *lab) status(c contender) (status, error) {
	var st status
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", l.controlPath(c))
		},
	}}
	resp, err := client.Get("http://control/status")
	if err != nil {
		return st, err
	}
	defer resp.Body.Close()
	return st, json.NewDecoder(resp.Body).Decode(&st)
}

// workers waits until there are n in that state and returns them.
func (l *lab) workers(c contender, state string, n int) ([]workerStatus, error) {
	end := time.Now().Add(startLimit)
	for {
		st, err := l.status(c)
		var found []workerStatus
		for _, w := range st.Workers {
			if w.State == state {
				found = append(found, w)
			}
		}
		if len(found) >= n {
			return found, nil
		}
		if time.Now().After(end) || l.ctx.Err() != nil {
			return nil, fmt.Errorf("%d of %d workers are %s (%v)", len(found), n, state, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// settle is what a server gets before it counts as being at rest, and watch how
// long it is watched then.
const (
	settle = 2 * time.Second
	watch  = 8 * time.Second
)

// idle measures memory and processor time of servers that nobody asks.
func idle(l *lab, r *report) error {
	for range min(l.rounds, 3) {
		for _, n := range []int{100, 256} {
			if err := atRest(l, r, n); err != nil {
				return err
			}
			l.stopAll()
		}
	}
	return nil
}

func atRest(l *lab, r *report, n int) error {
	s, c, err := l.fugueNow(n, "")
	if err != nil {
		return err
	}
	if err := l.await(s); err != nil {
		return err
	}
	list, err := l.workers(c, "ready", n)
	if err != nil {
		return err
	}
	time.Sleep(settle)
	master := s.cmd.Process.Pid
	mine, theirs := cpu(master), 0.0
	for _, w := range list {
		theirs -= cpu(w.PID)
	}
	time.Sleep(watch)
	for _, w := range list {
		theirs += cpu(w.PID)
	}
	note := fmt.Sprintf("%d workers", n)
	put := func(what string, v float64, unit string) {
		name := what + ", " + note
		r.add(name, v)
		r.row(name).unit = unit
	}
	put("master, processor", (cpu(master)-mine)/watch.Seconds()*100, "% of a core")
	put("master, resident memory", memory(master, "status", "VmRSS:")/1024, "MiB")
	put("all workers, processor", theirs/watch.Seconds()*100, "% of a core")
	var pss series
	for _, w := range list[:10] {
		pss = append(pss, memory(w.PID, "smaps_rollup", "Pss:")/1024)
	}
	put("one worker, memory (PSS)", pss.median(), "MiB")
	return nil
}

// memory reads a value in KiB from a file of /proc.
func memory(pid int, file, key string) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			v, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return v
		}
	}
	return 0
}
