package sockets

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAdjustTheFileOfAUnixSocket(t *testing.T) {
	t.Parallel()
	path, opt := socketPath(t), once
	l := listen(t, "unix:"+path, opt)
	dial(t, l) // queued, and still there afterwards
	opt.Mode, opt.Name = 0o666, "api"
	must(t, l.Adjust(opt))
	if mode := lstat(t, path).Mode().Perm(); mode != 0o666 || l.Name() != "api" {
		t.Errorf("mode %v, name %q", mode, l.Name())
	}
	must(t, l.Adjust(once))
	if mode := lstat(t, path).Mode().Perm(); mode != 0o600 || l.Name() != "" {
		t.Errorf("without options: mode %v, name %q", mode, l.Name())
	}
	accept(t, l)
}

func TestAdjustTheOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	path := socketPath(t)
	l := listen(t, "unix:"+path, once)
	for _, tc := range []struct{ owner, group, wantUID, wantGID int }{
		{65534, 65533, 65534, 65533}, {-1, -1, 65534, 65533}, {0, -1, 0, 65533},
	} {
		must(t, l.Adjust(Options{Mode: 0o660, Owner: tc.owner, Group: tc.group}))
		var st unix.Stat_t
		must(t, unix.Lstat(path, &st))
		if int(st.Uid) != tc.wantUID || int(st.Gid) != tc.wantGID || st.Mode&0o7777 != 0o660 {
			t.Errorf("%+v: owner %d:%d, mode %o", tc, st.Uid, st.Gid, st.Mode)
		}
	}
}

// Somebody else's file gets neither mode nor owner; the backlog is set anyway.
func TestAdjustLeavesTheFileOfAnotherAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		want  string
		place func(t *testing.T, path string)
	}{
		"nothing":        {"no such file or directory", func(*testing.T, string) {}},
		"another socket": {"was replaced by another socket", func(t *testing.T, path string) { stale(t, path) }},
		"a file":         {"was replaced by a file", func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o600)) }},
		"a link":         {"was replaced by a symbolic link", func(t *testing.T, path string) { must(t, os.Symlink("/dev/null", path)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, opt := socketPath(t), once
			l := listen(t, "unix:"+path, opt)
			must(t, os.Remove(path))
			tc.place(t, path)
			before, _ := os.Lstat(path)
			opt.Mode, opt.Backlog = 0o777, 7
			err := l.Adjust(opt)
			if err == nil || !strings.HasPrefix(err.Error(), "adjust the listener on unix:"+path+": ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
			if after, _ := os.Lstat(path); before != nil && after.Mode() != before.Mode() {
				t.Errorf("the mode is %v, was %v", after.Mode(), before.Mode())
			}
			if _, limit := l.Queue(); limit != 7 {
				t.Errorf("backlog %d, want 7", limit)
			}
		})
	}
}

// systemd's unit says how its sockets are; our defaults must not undo that.
func TestAdjustLeavesAnInheritedSocketAlone(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	maker := listen(t, "unix:"+path, once)
	l, err := adopt(duplicate(t, maker).FD, "api")
	must(t, err)
	defer l.Close()
	must(t, l.Adjust(Options{Mode: 0o777, Name: "web", Backlog: 1}))
	if mode := lstat(t, path).Mode().Perm(); mode != 0o600 || l.Name() != "api" || l.State().Backlog != 0 {
		t.Errorf("mode %v, name %q, backlog %d", mode, l.Name(), l.State().Backlog)
	}
}

func TestAdjustAClosedListener(t *testing.T) {
	t.Parallel()
	l := listen(t, "127.0.0.1:0", once)
	must(t, l.Close())
	if err := l.Adjust(once); err == nil || !strings.Contains(err.Error(), "listen with a backlog of 1024: bad file descriptor") {
		t.Errorf("got %v", err)
	}
}
