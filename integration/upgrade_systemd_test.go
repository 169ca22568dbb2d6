package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// After an upgrade systemd still hears from the same process: it is ready, feeds
// the watchdog, stops (F79).
func TestNotifyOfUpgrades(t *testing.T) {
	t.Parallel()
	d := prepare(t, "workers = 2\n", "")
	n := notifySocket(t, fmt.Sprintf("@fugue-test-%d-notify", os.Getpid())) // an abstract one
	d.underSystemd(n, fmt.Sprint("WATCHDOG_USEC=", watchdogUSEC))
	n.lives("READY")
	n.feeds(2)
	d.put(d.master, d.masters[1])
	d.ok("upgrade", d.usr2)
	d.upgraded(1)
	n.lives("READY", "RELOADING", "READY")
	n.feeds(4)
	d.ok("reload", d.hup)
	n.lives("READY", "RELOADING", "READY", "RELOADING", "READY")
	d.put(d.master, d.masters[0])
	d.verb(0, "upgrade", "--wait")
	d.upgraded(2)
	n.feeds(4)
	d.signal(syscall.SIGTERM)
	d.ends(0)
	n.lives("READY", "RELOADING", "READY", "RELOADING", "READY", "RELOADING", "READY", "STOPPING")
	n.honest(d.pid)
	n.regular()
}

// Sockets that the first start was given are there after reloads and upgrades, by
// their order and by their names.
func TestUpgradeKeepsInheritedSockets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, listen, names string }{
		{"by order", "127.0.0.1:0", ""},
		{"by name", "systemd:web", "web"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := prepare(t, "workers = 2\n", "")
			d.edit("127.0.0.1:0", c.listen)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			given, err := l.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			cmd := withEnv("/bin/sh", []string{"-c", `export LISTEN_PID=$$; exec "$@"`, "sh", d.master, "-c", d.file}, "LISTEN_FDS=1")
			if c.names != "" {
				cmd.Env = append(cmd.Env, "LISTEN_FDNAMES="+c.names)
			}
			cmd.ExtraFiles = []*os.File{given}
			d.server = launchCommand(t, d.dir, cmd)
			d.waitReady()
			given.Close()
			l.Close() // from here on it is open in the server alone
			address := l.Addr().String()
			d.address = address
			before := d.waitWorkers(2)
			tr := d.load(8)
			d.put(d.master, d.masters[1])
			d.ok("upgrade", d.usr2)
			d.upgraded(1)
			d.ok("reload", d.hup)
			d.verb(0, "upgrade", "--wait")
			sameListeners(t, before, d.settled(2))
			tr.endWhole()
			d.get("/pid")
			me := d.self()
			for _, name := range []string{"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"} {
				if _, has := me.variable(name); has {
					t.Errorf("the app has %s", name)
				}
			}
		})
	}
}

// The same with the tool of systemd.
func TestUpgradeUnderSocketActivation(t *testing.T) {
	t.Parallel()
	activate := needProgram(t, "systemd-socket-activate")
	d := prepare(t, "workers = 2\n", "")
	address := "127.0.0.1:" + freePort(t)
	d.edit("127.0.0.1:0", "systemd:web")
	d.server = launchCommand(t, d.dir, exec.Command(activate, "-l", address, "--fdname=web", d.master, "-c", d.file))
	d.address = address
	d.log.wait(t, "Listening on "+address, d.exited)
	d.get("/pid")
	tr := d.load(8)
	d.put(d.master, d.masters[1])
	d.ok("upgrade", d.usr2)
	st := d.settled(2)
	d.upgraded(1)
	if len(st.Listeners) != 1 || st.Listeners[0].Address != address {
		t.Errorf("it listens on %+v", st.Listeners)
	}
	d.verb(0, "reload", "--wait")
	tr.endWhole()
	d.signal(syscall.SIGTERM)
	d.ends(0)
}
