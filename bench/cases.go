package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// testCase is one table.
type testCase struct {
	name, title string
	needs       func() string // says what is missing, "" if nothing
	run         func(l *lab, r *report) error
}

var cases []*testCase

func init() {
	all := []contender{ours, plain, plainOne, naive, unicorn, nginx, puma, gunicorn, uwsgi, node, fasthttp}
	onUnix := []contender{ours, plain, plainOne, naive, unicorn, nginx, puma, gunicorn, uwsgi, node}
	cases = []*testCase{
		{"keep-tcp", "Kept connections, TCP, 2 workers", mustHaveWrk, rates(all, false, plain.name, byWrk("/", false))},
		{"close-tcp", "One connection for each request, TCP, 2 workers", mustHaveWrk, rates(append(all, deferring), false, unicorn.name, byWrk("/", true))},
		{"keep-unix", "Kept connections, Unix socket, 2 workers", nil, rates(onUnix, true, plain.name, byLoad())},
		{"close-unix", "One connection for each request, Unix socket, 2 workers", nil, rates(onUnix, true, unicorn.name, byLoad("-close"))},
		{"workers-close", "One connection for each request, more workers", mustHaveWrk,
			rates(many(2, 8, 64, 256), false, ours.with(2).name, byWrk("/", true))},
		{"workers-keep", "Kept connections, more workers", mustHaveWrk,
			rates(many(2, 8, 64, 256), false, ours.with(2).name, byWrk("/", false))},
		{"reuseport", "A socket for each worker: one connection for each request", mustHaveWrk,
			rates([]contender{ours.with(2), ownSocket.with(2), ours.with(16), ownSocket.with(16), ours.with(64), ownSocket.with(64)},
				false, ours.with(2).name, byWrk("/", true))},
		{"big", "Responses of 1 MiB, kept connections", mustHaveWrk,
			rates([]contender{ours, plain, naive, nginx, fasthttp}, false, plain.name, byWrk("/big", false))},
		{"mixed", "99th percentile of small requests (1000/s, kept) beside 10 ms of computing (60/s, one connection each)", nil,
			latencies([]contender{ours, plain, plainOne, naive}, plain.name, mixed)},
		{"latency-keep", "99th percentile at 10000 requests/s, kept connections", nil,
			latencies([]contender{ours, plain, plainOne, naive, nginx}, plain.name, p99("-rate", "10000"))},
		{"latency-close", "99th percentile at 3000 requests/s, one connection each", nil,
			latencies([]contender{ours, plain, plainOne, naive, unicorn, nginx}, plain.name, p99("-rate", "3000", "-close"))},
		{"sched-close", "Scheduling policy: one connection for each request", mustHaveWrk,
			rates(policies, false, policies[0].name, byWrk("/", true))},
		{"sched-keep", "Scheduling policy: kept connections", mustHaveWrk,
			rates(policies, false, policies[0].name, byWrk("/", false))},
		{"sched-hogs", "Scheduling policy: 99th percentile at 10000 requests/s, kept connections, beside as many busy processes as CPUs", nil,
			latencies(policies, policies[0].name, besideHogs("-rate", "10000"))},
		{"sched-hogs-close", "Scheduling policy: 99th percentile at 4000 requests/s, one connection each, beside as many busy processes as CPUs", nil,
			latencies(policies, policies[0].name, besideHogs("-rate", "4000", "-close"))},
		{"gomaxprocs", "Workers and GOMAXPROCS: one connection for each request", mustHaveWrk,
			rates(threads, false, threads[0].name, byWrk("/", true))},
		{"gomaxprocs-keep", "Workers and GOMAXPROCS: kept connections", mustHaveWrk,
			rates(threads, false, threads[0].name, byWrk("/", false))},
		{"gc", "Collector: kept connections", mustHaveWrk, rates(collectors, false, collectors[0].name, byWrk("/", false))},
		{"gc-close", "Collector: one connection for each request", mustHaveWrk, rates(collectors, false, collectors[0].name, byWrk("/", true))},
		{"balance", "Requests of the busiest of 4 workers, to the mean; 64 kept connections", nil, balance},
		{"start", "Start, respawn and reload", nil, life},
		{"idle", "At rest", nil, idle},
	}
}

// ownSocket has one for each worker.
var ownSocket = listening("reuseport", "reuseport = true")

// deferring has what Unicorn does by default.
var deferring = listening("fugue-http, defer_accept", "defer_accept = true")

var (
	policies   = []contender{set("sched = other", `sched = "other"`), set("sched = batch", `sched = "batch"`)}
	collectors = []contender{set("default", ""), set("GOGC=100", `env = { GOGC = "100" }`),
		set("GOGC=400", `env = { GOGC = "400" }`), set("GOGC=1600", `env = { GOGC = "1600" }`)}
	threads = []contender{
		set("2 workers, GOMAXPROCS=1", "gomaxprocs = 1"), set("2 workers, GOMAXPROCS=2", "gomaxprocs = 2"),
		set("4 workers, GOMAXPROCS=1", "gomaxprocs = 1").of(4), set("1 worker, GOMAXPROCS=2", "gomaxprocs = 2").of(1),
	}
)

// many is the same with several numbers of workers.
func many(workers ...int) (list []contender) {
	for _, n := range workers {
		list = append(list, ours.with(n))
	}
	for _, n := range workers {
		list = append(list, naive.with(n))
	}
	return list
}

func (l *lab) runCase(c *testCase) (*report, error) {
	r := &report{name: c.name, title: c.title, rounds: l.rounds, turn: l.turn}
	if c.needs != nil {
		if why := c.needs(); why != "" {
			r.skipped = append(r.skipped, why)
			return r, nil
		}
	}
	defer l.stopAll()
	return r, c.run(l, r)
}

// turn measures s once.
type turn func(l *lab, s *server) (loadResult, error)

func byWrk(path string, close bool) turn {
	return func(l *lab, s *server) (loadResult, error) { return l.wrk(s, l.turn, path, close) }
}

func byLoad(args ...string) turn {
	return func(l *lab, s *server) (loadResult, error) { return l.load(s, l.turn, args...) }
}

// rates is a case of requests per second.
func rates(list []contender, unix bool, reference string, measure turn) func(*lab, *report) error {
	return func(l *lab, r *report) error {
		r.unit, r.reference = "/s", reference
		return l.takeTurns(r, list, unix, func(s *server) error {
			before := cpuOf(s)
			v, err := measure(l, s)
			if err != nil {
				return err
			}
			r.add(s.name, v.Rate)
			w := r.row(s.name)
			if v.Requests > 0 {
				w.cost = append(w.cost, (cpuOf(s)-before)*1e6/float64(v.Requests))
			}
			w.p99 = append(w.p99, float64(v.P99)/1000)
			w.complain(v.Error)
			return nil
		})
	}
}

// latencies is a case of milliseconds.
func latencies(list []contender, reference string, measure turn) func(*lab, *report) error {
	return func(l *lab, r *report) error {
		r.unit, r.reference = "ms", reference
		return l.takeTurns(r, list, false, func(s *server) error {
			v, err := measure(l, s)
			if err != nil {
				return err
			}
			r.add(s.name, float64(v.P99)/1000)
			w := r.row(s.name)
			w.p50 = append(w.p50, float64(v.P50)/1000)
			w.complain(v.Error)
			return nil
		})
	}
}

func p99(args ...string) turn { return byLoad(args...) }

// mixed measures small requests while others compute.
func mixed(l *lab, s *server) (loadResult, error) {
	heavy := make(chan error, 1)
	go func() {
		_, err := l.load(s, l.turn, "-path", "/cpu", "-rate", "60", "-close")
		heavy <- err
	}()
	v, err := l.load(s, l.turn, "-rate", "1000")
	if e := <-heavy; err == nil {
		err = e
	}
	return v, err
}

// besideHogs measures while other processes compute all the time, one a CPU.
func besideHogs(args ...string) turn {
	return func(l *lab, s *server) (loadResult, error) {
		var hogs []*exec.Cmd
		defer func() {
			for _, h := range hogs {
				_ = h.Process.Kill()
				_ = h.Wait()
			}
		}()
		for range runtime.NumCPU() {
			h := exec.Command("sh", "-c", "while :; do :; done")
			h.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := h.Start(); err != nil {
				return loadResult{}, err
			}
			hogs = append(hogs, h)
		}
		return l.load(s, l.turn, args...)
	}
}

// takeTurns starts all of list, then measures them round by round.
func (l *lab) takeTurns(r *report, list []contender, unix bool, measure func(*server) error) error {
	var servers []*server
	for _, c := range list {
		if !l.wants(c) {
			continue
		}
		s, err := l.startOne(c, unix)
		if err != nil {
			r.skipped = append(r.skipped, fmt.Sprintf("%s: %v", c.name, err))
			continue
		}
		servers = append(servers, s)
	}
	for round := range l.rounds + 1 {
		for _, s := range servers {
			if round == 0 { // what is asked first compiles, allocates and fills caches
				if _, err := l.load(s, 300*time.Millisecond); err != nil {
					return err
				}
				continue
			}
			if err := measure(s); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}

func (l *lab) wants(c contender) bool {
	if len(l.only) == 0 {
		return true
	}
	for _, name := range l.only {
		if name == c.name {
			return true
		}
	}
	return false
}

func (l *lab) startOne(c contender, unix bool) (*server, error) {
	if why := c.missing(); why != "" {
		return nil, fmt.Errorf("%s", why)
	}
	address, err := l.tcp()
	if err != nil {
		return nil, err
	}
	if unix {
		address = l.unix()
	}
	s, err := c.start(l, c, address)
	if err != nil {
		return nil, err
	}
	return s, l.await(s)
}
