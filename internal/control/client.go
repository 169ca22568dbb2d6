package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// Client talks to the master behind one control socket. Each call is a
// connection of its own and takes at most 10 s.
type Client struct {
	path  string
	limit time.Duration // clientLimit, except in tests
}

const clientLimit = 10 * time.Second

// maxAnswer bounds what is read: the status of a thousand workers is a tenth, a
// hundred incidents with the longest stacks escaped byte by byte are the most.
const maxAnswer = 32 << 20

// Dial returns a client of the master that listens on path, if one does.
func Dial(path string) (*Client, error) {
	c := &Client{path, clientLimit}
	conn, err := c.connect()
	if err != nil {
		return nil, err
	}
	return c, conn.Close()
}

// Status is how things are.
func (c *Client) Status() (s Status, err error) {
	return s, c.call(http.MethodGet, "/status", nil, &s)
}

// Scale asks for n workers, and returns how many are wanted now.
func (c *Client) Scale(n int) (int, error) { return c.scale(map[string]int{"workers": n}) }

// ScaleBy asks for k workers more, or fewer when k is negative.
func (c *Client) ScaleBy(k int) (int, error) { return c.scale(map[string]int{"by": k}) }

func (c *Client) scale(body map[string]int) (int, error) {
	var now wanted
	err := c.call(http.MethodPost, "/scale", body, &now)
	return now.Workers, err
}

// ReopenLogs has all log files opened anew.
func (c *Client) ReopenLogs() error { return c.call(http.MethodPost, "/reopen-logs", nil, &done{}) }

// ErrStillRunning says that a stop was begun and is not over.
var ErrStillRunning = errors.New("the master is still running")

// Stop asks the master to leave, and waits until its process is gone or ctx is
// over: the error is ErrStillRunning then.
func (c *Client) Stop(ctx context.Context, quick bool) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	resp, err := c.exchange(conn, http.MethodPost, "/stop?wait=1", map[string]bool{"quick": quick})
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	_, err = io.Copy(io.Discard, resp.Body)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrStillRunning
	}
	return nil // any other end of the connection is the master's
}

// call makes one request and decodes its answer.
func (c *Client) call(method, path string, body, answer any) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	return c.answered(conn, method, path, body, answer)
}

func (c *Client) answered(conn net.Conn, method, path string, body, answer any) error {
	resp, err := c.exchange(conn, method, path, body)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.broken(err)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s: the answer makes no sense: %w", c.path, err)
	}
	return nil
}

func (c *Client) connect() (*net.UnixConn, error) {
	conn, err := c.dial()
	if err != nil {
		return nil, c.noConnection(err)
	}
	_ = conn.SetDeadline(time.Now().Add(c.limit))
	if err := c.checkServer(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// dial waits while the queue of the socket is full, as unix sockets do not do by
// themselves when they are non-blocking (connect(2)).
func (c *Client) dial() (conn *net.UnixConn, err error) {
	const retryEvery = 10 * time.Millisecond
	for left := c.limit; left > 0; left -= retryEvery {
		conn, err = net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: c.path})
		if !errors.Is(err, syscall.EAGAIN) {
			break
		}
		time.Sleep(retryEvery)
	}
	return conn, err
}

// checkServer refuses a stranger that has taken the path: only root and we
// ourselves may be the master. Root may also ask the masters of others.
func (c *Client) checkServer(conn *net.UnixConn) error {
	uid, err := peerUID(conn)
	if err != nil {
		return fmt.Errorf("%s: who listens there? %w", c.path, err)
	}
	if me := os.Geteuid(); me != 0 && uid != 0 && uid != me {
		return fmt.Errorf("%s belongs to another user (uid %d): not asked anything", c.path, uid)
	}
	return nil
}

// exchange sends a request and reads the head of its answer. What is no 200 is
// an error.
func (c *Client) exchange(conn net.Conn, method, path string, body any) (*http.Response, error) {
	var text []byte
	if body != nil {
		text = encode(body)
	}
	req, err := http.NewRequest(method, "http://fugue"+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	// A server that refuses us answers without listening, so that an error of
	// writing may have its reason in what there is to read.
	sent := req.Write(conn)
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return nil, c.broken(errors.Join(sent, err))
	}
	if resp.StatusCode != http.StatusOK {
		return nil, c.refused(resp)
	}
	return resp, nil
}

// refused is the sentence of an answer that is an error, and its code.
func (c *Client) refused(resp *http.Response) error {
	var answer struct {
		Error string `json:"error"`
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if json.Unmarshal(text, &answer) != nil || answer.Error == "" {
		return fmt.Errorf("%s answers %s: is it the control socket of fugue-http?", c.path, resp.Status)
	}
	return failure{resp.StatusCode, answer.Error}
}

func (c *Client) noConnection(err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s: is fugue-http running with this file?", c.path)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s is only for root and the user that runs fugue-http", c.path)
	case errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("%s is overrun: its queue is full", c.path)
	}
	return fmt.Errorf("%s: %w", c.path, cause(err))
}

var errNoAnswer = errors.New("the connection ended before the answer (the master may have died, or not be fugue-http)")

func (c *Client) broken(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%s: no answer within %s", c.path, c.limit)
	}
	return fmt.Errorf("%s: %w", c.path, errNoAnswer)
}

// cause strips what the net package repeats.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
