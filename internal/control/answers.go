package control

import (
	"net/http"
	"time"
)

// ask puts a to the loop and waits for its answer, for limit or until the door
// is closed. That the client has left is no reason to stop: one that has said
// all it wants may have closed its own direction (socat does).
func (s *Server) ask(a Ask, reply <-chan Answer, limit time.Duration) (Answer, error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	asks := s.asks
	for {
		select {
		case asks <- a:
			asks = nil // once
		case ans := <-reply:
			return ans, ans.refusal()
		case <-s.door.closed:
			return lastWord(reply, fail(http.StatusServiceUnavailable, "the master is stopping"))
		case <-late.C:
			return lastWord(reply, fail(http.StatusServiceUnavailable, "the master has not answered within %s", limit))
		}
	}
}

// lastWord takes an answer that came together with the end.
func lastWord(reply <-chan Answer, end error) (Answer, error) {
	select {
	case ans := <-reply:
		return ans, ans.refusal()
	default:
		return Answer{}, end
	}
}

func (ans Answer) refusal() error {
	if ans.Refused == "" {
		return nil
	}
	return fail(http.StatusConflict, "%s", ans.Refused)
}

// status adds what the loop does not know: reading it costs time.
func (s *Server) status(_ request) (any, error) {
	a, reply := NewAsk(AskStatus)
	ans, err := s.ask(a, reply, s.limit)
	if err != nil {
		return nil, err
	}
	st := ans.Status
	for i := range st.Listeners {
		l := &st.Listeners[i]
		l.Queue, l.Backlog = s.queue(l.Address)
	}
	for i := range st.Workers {
		st.Workers[i].RSSBytes = RSS(st.Workers[i].PID)
	}
	return st.whole(), nil
}

// whole gives scripts lists and tables where there is nothing, too.
func (s Status) whole() Status {
	if s.Listeners == nil {
		s.Listeners = []Listener{}
	}
	if s.Workers == nil {
		s.Workers = []Worker{}
	}
	if s.Counters.Exits == nil {
		s.Counters.Exits = map[string]uint64{}
	}
	return s
}

type done struct {
	OK bool `json:"ok"`
}

func (s *Server) healthz(_ request) (any, error) {
	a, reply := NewAsk(AskStatus)
	_, err := s.ask(a, reply, healthLimit)
	return done{true}, err
}

// readyz is for whoever sends the traffic.
func (s *Server) readyz(_ request) (any, error) {
	a, reply := NewAsk(AskStatus)
	ans, err := s.ask(a, reply, healthLimit)
	if err != nil {
		return nil, err
	}
	return done{true}, ans.Status.ready()
}

// ready is nil if requests are answered and will be for a while.
func (s Status) ready() error {
	if s.State == "stopping" {
		return fail(http.StatusServiceUnavailable, "the master is stopping")
	}
	for _, w := range s.Workers {
		if w.State == "ready" {
			return nil
		}
	}
	return fail(http.StatusServiceUnavailable, "no worker is ready")
}

type wanted struct {
	Workers int `json:"workers_wanted"`
}

func (s *Server) scale(r request) (any, error) {
	kind, n, err := readScale(r.body)
	if err != nil {
		return nil, err
	}
	a, reply := NewAsk(kind)
	a.N = n
	ans, err := s.ask(a, reply, s.limit)
	return wanted{ans.Status.WorkersWanted}, err
}

func (s *Server) stop(r request) (any, error) {
	quick, err := readStop(r.body)
	if err != nil {
		return nil, err
	}
	a, reply := NewAsk(AskStop)
	a.Quick = quick
	_, err = s.ask(a, reply, s.limit)
	return done{true}, err
}

// stopAndHold is stop for a client that waits for the end of the process.
func (s *Server) stopAndHold(w http.ResponseWriter, r request) {
	answer, err := s.stop(r)
	if err != nil {
		reply(w, nil, err)
		return
	}
	hold(w, answer)
}

func (s *Server) reopenLogs(r request) (any, error) {
	if err := readNothing(r.body); err != nil {
		return nil, err
	}
	a, reply := NewAsk(AskReopenLogs)
	_, err := s.ask(a, reply, s.limit)
	return done{true}, err
}
