package proxy

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

const (
	firstPause = 5 * time.Millisecond   // between two looks whether the app listens
	lastPause  = 100 * time.Millisecond // each is longer than the one before, up to this
	probeLimit = 5 * time.Second        // for one probe to be answered
)

// errLeaving says that the worker was told to leave before the app was ready.
var errLeaving = errors.New("told to leave")

// awaitReady waits until the app is ready and returns where it listens: the first
// of its addresses that accepts. How long that may take is the master's to judge.
func awaitReady(r rule, p *place, a *app, leaving <-chan struct{}) (u upstream, err error) {
	warned := false
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if u.app == nil {
			u = find(p, a, &warned)
		}
		if u.app != nil && probe(u, r.path) == nil {
			break
		}
		if err := rest(pause, a, leaving); err != nil {
			return u, err
		}
	}
	return u, rest(r.alive-time.Since(a.since), a, leaving)
}

// rest waits, unless there is nothing to wait for any more.
func rest(d time.Duration, a *app, leaving <-chan struct{}) error {
	select {
	case <-a.died:
		return a.endError()
	case <-leaving:
		return errLeaving
	case <-time.After(d):
		return nil
	}
}

// find looks where the app listens; the result has no app if nowhere.
func find(p *place, a *app, warned *bool) upstream {
	for _, addr := range p.addresses() {
		u := upstream{addr, a}
		if connects(u) != nil {
			continue
		}
		if addr.network == "tcp" && strangersPort(p.port) {
			if !*warned {
				log.Printf("proxy: %s is served by another user; no request goes there", addr)
			}
			*warned = true
			continue
		}
		return u
	}
	return upstream{}
}

// probe asks the app whether it is well: for path if there is one, else only for a
// connection.
func probe(u upstream, path string) error {
	if path == "" {
		return connects(u)
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	// Apps that check the host know this one, if any.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "fugue-http")
	resp, err := oneShot(u).RoundTrip(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= 400 {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return nil
}

func connects(u upstream) error {
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	c, err := u.dial(ctx)
	if err != nil {
		return err
	}
	return c.Close()
}

// multiplexed is a transport that speaks HTTP/2 without TLS, nil if that is not wanted.
func multiplexed(u upstream, wanted bool) http.RoundTripper {
	if !wanted {
		return nil
	}
	t := oneShot(u)
	t.DisableKeepAlives, t.IdleConnTimeout = false, keptFor
	t.Protocols = new(http.Protocols)
	t.Protocols.SetUnencryptedHTTP2(true)
	return t
}

// oneShot is a transport that uses each connection once.
func oneShot(u upstream) *http.Transport {
	return &http.Transport{
		DialContext:           func(ctx context.Context, _, _ string) (net.Conn, error) { return u.dial(ctx) },
		DisableKeepAlives:     true,
		DisableCompression:    true,
		ExpectContinueTimeout: time.Second,
	}
}
