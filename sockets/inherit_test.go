package sockets

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInheritedSockets(t *testing.T) {
	t.Parallel()
	tcp, path := listen(t, "127.0.0.1:0", once), socketPath(t)
	file := listen(t, "unix:"+path, once)
	must(t, unix.SetNonblock(tcp.FD(), false)) // as systemd may hand it down
	got := inherit(t, []int{tcp.FD(), file.FD()}, "LISTEN_FDS=2", "LISTEN_FDNAMES=web:api")
	want := fmt.Sprintf("3 web %s true true true\n4 api unix:%s true true true\n", tcp.Address(), path)
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	lstat(t, path) // closing an inherited socket removes nothing
}

func TestInheritedAbstractAndIPv6(t *testing.T) {
	t.Parallel()
	needIPv6(t)
	tcp := listen(t, "[::1]:0", once)
	abstract := listen(t, fmt.Sprintf("unix:@fugue-inherit-%d", os.Getpid()), once)
	got := inherit(t, []int{tcp.FD(), abstract.FD()}, "LISTEN_FDS=2", "LISTEN_FDNAMES=")
	want := fmt.Sprintf("3 unknown %s true true true\n4 unknown %s true true true\n", tcp.Address(), abstract.Address())
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// S10: absurd numbers, and descriptors that are not what they should be.
func TestInheritedNonsense(t *testing.T) {
	t.Parallel()
	good, dir := listen(t, "127.0.0.1:0", once).FD(), folder(t)
	datagram := bound(t, dir+"/datagram", unix.SOCK_DGRAM)
	defer unix.Close(datagram)
	silent := bound(t, dir+"/silent", unix.SOCK_STREAM)
	defer unix.Close(silent)
	for _, tc := range []struct {
		name, want string
		fds        []int
		env        []string
	}{
		{"zero", `LISTEN_FDS="0"`, nil, []string{"LISTEN_FDS=0"}},
		{"negative", `LISTEN_FDS="-1"`, nil, []string{"LISTEN_FDS=-1"}},
		{"10^9", `LISTEN_FDS="1000000000" is not a number from 1 to 1024`, nil, []string{"LISTEN_FDS=1000000000"}},
		{"no number", `LISTEN_FDS="x"`, nil, []string{"LISTEN_FDS=x"}},
		{"too many names", "names 2, LISTEN_FDS=1", []int{good}, []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=a:b"}},
		{"file", `"a": descriptor 3 is not a socket`, []int{0}, []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=a"}},
		{"datagram", "descriptor 3 is not a stream socket", []int{datagram}, []string{"LISTEN_FDS=1"}},
		{"silent", "descriptor 4 is a socket that does not listen", []int{good, silent}, []string{"LISTEN_FDS=2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := inherit(t, tc.fds, tc.env...); !strings.HasPrefix(got, "inherited socket") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q in it", got, tc.want)
			}
		})
	}
}

// Which small numbers are free depends on the runtime's own descriptors.
func TestAClosedDescriptorIsNotAdopted(t *testing.T) {
	t.Parallel()
	if _, err := adopt(1<<30, "a"); err == nil || err.Error() != "is not open" {
		t.Errorf("got %v, want: is not open", err)
	}
}

func TestInheritedByAnotherProcess(t *testing.T) {
	t.Parallel()
	for _, env := range []map[string]string{
		{},
		{"LISTEN_PID": "7"},
		{"LISTEN_PID": "8", "LISTEN_FDS": "1"},
		{"LISTEN_PID": "x", "LISTEN_FDS": "1"},
		{"LISTEN_FDS": "1"},
	} {
		all, err := Inherited(7, func(key string) string { return env[key] })
		if all != nil || err != nil {
			t.Errorf("%v: got %v, %v, want nothing", env, all, err)
		}
	}
}

// inherit returns what a process says about the descriptors it is started with.
func inherit(t *testing.T, fds []int, env ...string) string {
	t.Helper()
	cmd := as("inherit ", env...)
	for _, fd := range fds {
		f, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		must(t, err)
		file := os.NewFile(uintptr(f), "")
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	out, _ := cmd.Output() // its exit status adds nothing to its words
	return string(out)
}
