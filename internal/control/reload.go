package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sys/unix"
)

func (s *Server) reload(r request) (any, error)  { return s.change(r, AskReload) }
func (s *Server) upgrade(r request) (any, error) { return s.change(r, AskUpgrade) }

// change only says that the loop has begun.
func (s *Server) change(r request, kind Kind) (any, error) {
	if err := readNothing(r.body); err != nil {
		return nil, err
	}
	a, reply := NewAsk(kind)
	_, err := s.ask(a, reply, s.limit)
	return done{true}, err
}

func (s *Server) waitForReload(w http.ResponseWriter, r request)  { s.changeAndTell(w, r, AskReload) }
func (s *Server) waitForUpgrade(w http.ResponseWriter, r request) { s.changeAndTell(w, r, AskUpgrade) }

// changeAndTell hands the client itself to the loop, which answers it when the
// outcome is known. If the loop does not take it on, it is told so from here.
func (s *Server) changeAndTell(w http.ResponseWriter, r request, kind Kind) {
	if err := readNothing(r.body); err != nil {
		reply(w, nil, err)
		return
	}
	s.handing.enter()
	defer s.handing.leave()
	s.door.inside.enter() // the connection leaves before its request is done with
	defer s.door.inside.leave()
	client, err := takeOver(w, r.conn)
	if err != nil {
		reply(w, nil, err)
		return
	}
	a, answer := NewAsk(kind)
	a.Waiter = client
	if _, err := s.ask(a, answer, s.limit); err != nil {
		client.refuse(err)
	}
}

// takeOver makes a Waiter of the client and frees its place at the door.
func takeOver(w http.ResponseWriter, c *conn) (*Waiter, error) {
	client, err := newWaiter(c.UnixConn)
	if err != nil {
		return nil, err
	}
	hijacked, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = unix.Close(client.FD())
		return nil, err
	}
	_ = hijacked.Close()
	return client, nil
}

// Reload has the settings read again and the workers replaced. Without wait it
// returns as soon as the master has begun, with an Outcome that tells nothing;
// else when it is over, however long that takes, or ctx is.
func (c *Client) Reload(ctx context.Context, wait bool) (Outcome, error) {
	return c.change(ctx, "reload", wait)
}

// Upgrade does the same, and replaces the master's own program, too.
func (c *Client) Upgrade(ctx context.Context, wait bool) (Outcome, error) {
	return c.change(ctx, "upgrade", wait)
}

func (c *Client) change(ctx context.Context, kind string, wait bool) (Outcome, error) {
	conn, err := c.connect()
	if err != nil {
		return Outcome{}, err
	}
	defer conn.Close()
	path := "/" + kind
	if wait {
		path += "?wait=1"
		_ = conn.SetDeadline(time.Time{})
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	var now achieved
	err = c.answered(conn, http.MethodPost, path, nil, &now)
	var f failure
	refused := errors.As(err, &f)
	switch {
	case err == nil:
		return Outcome{Kind: kind, OK: now.OK && wait, Generation: now.Generation}, nil
	case wait && refused && f.code == http.StatusInternalServerError:
		return Outcome{Kind: kind, Reason: f.text}, nil
	case ctx.Err() != nil && !refused:
		err = fmt.Errorf("%s: the %s is not over: %w", c.path, kind, ctx.Err())
	case wait && errors.Is(err, errNoAnswer):
		err = fmt.Errorf("%s: the master ended before it answered (its log may tell why)", c.path)
	}
	return Outcome{}, err
}
