package sockets

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The process becomes another program and its listener lives on: a client that
// connected before is still queued, and the file goes with the last owner.
func TestAListenerSurvivesAnExecInPlace(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	for name, address := range map[string]string{
		"tcp": "127.0.0.1:0", "unix": "unix:" + path, "abstract": fmt.Sprintf("unix:@fugue-exec-%d", os.Getpid()),
	} {
		t.Run(name, func(t *testing.T) {
			owner := as("exec " + address)
			stdin, err := owner.StdinPipe()
			must(t, err)
			stdout, err := owner.StdoutPipe()
			must(t, err)
			must(t, owner.Start())
			t.Cleanup(func() { stdin.Close(); owner.Process.Kill(); owner.Wait() })
			said, err := bufio.NewReader(stdout).ReadString('\n')
			must(t, err)
			bound, rest, _ := strings.Cut(said, " ")
			if rest != "web 7 false true true true\n" || name != "tcp" && bound != address {
				t.Fatalf("said %q", said)
			}
			if name == "unix" {
				lstat(t, path)
			}
			stdin.Close()
			if _, err := io.Copy(io.Discard, stdout); err != nil {
				t.Error(err)
			}
			must(t, owner.Wait())
		})
	}
	gone(t, path)
}

// duplicate returns the state of l as it would be after an exec: the descriptor
// is another number for the same socket, with its flags cleared.
func duplicate(t *testing.T, l *Listener) State {
	t.Helper()
	s := l.State()
	fd, err := unix.Dup(s.FD)
	must(t, err)
	must(t, unix.SetNonblock(fd, false))
	s.FD = fd
	return s
}

func TestRestoreRemembersWhatItWas(t *testing.T) {
	t.Parallel()
	opt := once
	opt.Name, opt.Backlog = "web", 7
	for _, address := range []string{"127.0.0.1:0", "unix:" + socketPath(t)} {
		l := listen(t, address, opt)
		dial(t, l)
		before := duplicate(t, l)
		text, err := json.Marshal(before)
		must(t, err)
		var read State
		must(t, json.Unmarshal(text, &read))
		r, err := Restore(read)
		must(t, err)
		if after := r.State(); !reflect.DeepEqual(after, before) {
			t.Errorf("%s: was %+v, is %+v", address, before, after)
		}
		wantFlags(t, r.FD())
		accept(t, r)
		must(t, r.Close())
	}
}

func TestARestoredListenerRemovesItsOwnFileOnly(t *testing.T) {
	t.Parallel()
	for name, replaced := range map[string]bool{"its own": false, "another's": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := socketPath(t)
			r, err := Restore(duplicate(t, listen(t, "unix:"+path, once)))
			must(t, err)
			if replaced {
				must(t, os.Remove(path))
				stale(t, path)
			}
			if r.Reachable() == replaced {
				t.Errorf("reachable: %v", r.Reachable())
			}
			must(t, r.Close())
			if replaced {
				lstat(t, path)
			} else {
				gone(t, path)
			}
		})
	}
}

func TestARestoredSocketOfSystemdStaysSystemds(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	maker := listen(t, "unix:"+path, once)
	adopted, err := adopt(duplicate(t, maker).FD, "api")
	must(t, err)
	r, err := Restore(adopted.State())
	must(t, err)
	if r.Name() != "api" || !r.Adopted() {
		t.Errorf("name %q, adopted %v", r.Name(), r.Adopted())
	}
	must(t, r.Close())
	lstat(t, path)
}

func TestRestoreRefusesAnotherDescriptor(t *testing.T) {
	t.Parallel()
	l, path := listen(t, "127.0.0.1:0", once), socketPath(t)
	file := listen(t, "unix:"+path, once)
	silent := bound(t, socketPath(t), unix.SOCK_STREAM)
	defer unix.Close(silent)
	of := func(l *Listener, change func(*State)) State {
		s := l.State()
		change(&s)
		return s
	}
	for _, tc := range []struct {
		name, want string
		state      State
	}{
		{"closed", "descriptor 1073741824 is not open", of(l, func(s *State) { s.FD = 1 << 30 })},
		{"of a closed listener", "descriptor -1 is not open", of(l, func(s *State) { s.FD = -1 })},
		{"no socket", "is not a socket", of(l, func(s *State) { s.FD = 0 })},
		{"does not listen", "is a socket that does not listen", of(l, func(s *State) { s.FD = silent })},
		{"another address", "listens on " + l.Address() + " (tcp)", of(l, func(s *State) { s.Address = "127.0.0.1:1" })},
		{"another network", "listens on unix:" + path + " (unix)", of(l, func(s *State) { s.FD = file.FD() })},
		{"another path", "is not the socket at /x", of(file, func(s *State) { s.Path = "/x" })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Restore(tc.state)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "restore the listener on ") {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
	dial(t, l) // neither was closed
	dial(t, file)
}

// What is refused may be anybody's.
func TestARefusedDescriptorKeepsItsFlags(t *testing.T) {
	t.Parallel()
	s := duplicate(t, listen(t, "127.0.0.1:0", once))
	defer unix.Close(s.FD)
	s.Address = "127.0.0.1:1"
	if _, err := Restore(s); err == nil {
		t.Fatal("restored as another")
	}
	nonblocking, err := Nonblocking(s.FD)
	must(t, err)
	flags, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFD, 0)
	must(t, err)
	if nonblocking || flags != 0 {
		t.Errorf("O_NONBLOCK %v, descriptor flags %d", nonblocking, flags)
	}
}
