package integration

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The file of a Unix socket was removed: nobody can connect, HUP brings it back (F47).
func TestReloadRestoresAUnixSocket(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 2\n", twoListeners)
	path := filepath.Join(d.dir, "app.sock")
	d.waitWorkers(2)
	other := d.load(4)
	remove(t, path)
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		t.Error("the socket has no file and can be reached")
	}
	d.ok("reload", d.hup)
	d.at("unix:" + path).get("/pid")
	d.settled(2)
	d.at("unix:" + path).get("/pid")
	other.endWhole()
}

// A listener that is new in the file answers after HUP; one that is gone refuses,
// but what had been asked through it is answered; the others never refuse, and
// the one on any port stays on its port.
func TestReloadOfListeners(t *testing.T) {
	t.Parallel()
	port, another := freePort(t), freePort(t)
	d := deploy(t, "workers = 2\n", "[[listener]]\naddress = \"127.0.0.1:"+port+"\"\n"+twoListeners)
	any, going, sock := d.address, "127.0.0.1:"+port, filepath.Join(d.dir, "app.sock")
	d.waitWorkers(2)
	asked, askedToo := d.at(going).ask("/slow?for=1500ms"), d.at("unix:"+sock).ask("/slow?for=1500ms")
	d.inFlight(2)
	tr := d.load(8, any)

	d.edit("127.0.0.1:"+port, "127.0.0.1:"+another, "unix:app.sock", "unix:fresh.sock")
	d.ok("reload", d.hup)
	for _, fresh := range []string{"127.0.0.1:" + another, "unix:" + filepath.Join(d.dir, "fresh.sock")} {
		d.at(fresh).get("/pid")
	}
	for _, answer := range []<-chan error{asked, askedToo} {
		if err := <-answer; err != nil {
			t.Errorf("asked through a listener that is closed now: %v", err)
		}
	}
	d.settled(2)
	if _, err := net.Dial("tcp", going); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a removed address: %v", err)
	}
	if _, err := os.Lstat(sock); !os.IsNotExist(err) {
		t.Errorf("the file of a removed unix socket: %v", err)
	}
	tr.endWhole()

	st := d.status()
	if len(st.Listeners) != 3 || st.Listeners[0].Address != any {
		t.Errorf("listeners %+v, the first was %s", st.Listeners, any)
	}
	d.get("/pid")
	d.edit("127.0.0.1:"+another, "127.0.0.1:"+port) // and back
	d.verb(0, "reload", "--wait")
	d.at(going).get("/pid")
}

// Options of a listener that stays take effect, and the socket stays.
func TestReloadOfListenerOptions(t *testing.T) {
	t.Parallel()
	d := deploy(t, "workers = 1\n", "[[listener]]\naddress = \"unix:app.sock\"\nmode = \"0600\"\nbacklog = 16\n")
	path := filepath.Join(d.dir, "app.sock")
	before, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	tr := d.load(4, "unix:"+path)
	d.edit("mode = \"0600\"", "mode = \"0660\"", "backlog = 16", "backlog = 32")
	d.ok("reload", d.hup)
	after, err := os.Lstat(path)
	if err != nil || !os.SameFile(before, after) || after.Mode().Perm() != 0o660 {
		t.Errorf("%v has become %v (%v)", before.Mode(), after, err)
	}
	tr.endWhole()
}
