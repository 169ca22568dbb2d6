package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = 30 * time.Second
	stopLimit  = 8 * time.Second
)

// server is a contender that runs.
type server struct {
	name    string
	address string // host:port or unix:/path
	cmd     *exec.Cmd
	log     string
	ended   chan struct{} // closed when its first process has been reaped
}

// launch starts argv in a session of its own. Its output goes to a file.
func (l *lab) launch(name, address string, env []string, argv ...string) (*server, error) {
	s := &server{name: name, address: address, ended: make(chan struct{})}
	f, err := os.CreateTemp(l.dir, "log-")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s.log = f.Name()
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Dir, s.cmd.Env = l.dir, append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = f, f
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	l.running = append(l.running, s)
	return s, nil
}

// stop ends it, and whatever is left of its session's first group.
func (s *server) stop() {
	pid := s.cmd.Process.Pid
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(stopLimit):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL) // the group cannot be another's while a member lives; without one this fails
}

// await returns when s answers.
func (l *lab) await(s *server) error {
	end := time.Now().Add(startLimit)
	for time.Now().Before(end) && l.ctx.Err() == nil {
		if _, err := s.get("/"); err == nil {
			return nil
		}
		select {
		case <-s.ended:
			text, _ := os.ReadFile(s.log)
			first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
			return fmt.Errorf("it has ended: %s", first)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not answer within %v", s.name, startLimit)
}

// get asks once, over a connection of its own.
func (s *server) get(path string) (string, error) {
	network, address := "tcp", s.address
	if p, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", p
	}
	c, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return "", err
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return c, nil },
	}}
	resp, err := client.Get("http://bench" + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", resp.Status)
	}
	return string(body), err
}

// stopAll ends the servers of one case.
func (l *lab) stopAll() {
	for _, s := range l.running {
		s.stop()
	}
	l.running = nil
}

// write makes a file in the lab's folder.
func (l *lab) write(name, text string) (string, error) {
	path := filepath.Join(l.dir, strings.NewReplacer(" ", "_", "/", "_").Replace(name))
	return path, os.WriteFile(path, []byte(text), 0o644)
}
