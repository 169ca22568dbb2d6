package master

import (
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/control"
	"github.com/fugue-http/fugue/internal/pidfile"
	"github.com/fugue-http/fugue/internal/stage"
	"github.com/fugue-http/fugue/internal/wire"
	"github.com/fugue-http/fugue/master/pool"
	"github.com/fugue-http/fugue/sockets"
)

// beatEvery is how often a worker says that it lives, if heartbeat_timeout leaves
// room for three beats; one or two may then be late.
const beatEvery = time.Second

// open gets hold of everything a master needs, in the order in which a second
// instance is told apart soonest: pid file, control socket, listeners. The first
// failure ends it; release lets go of what is there by then.
func (m *master) open() error {
	var err error
	if m.output, err = openOutput(m.cfg, m.opt.App); err != nil {
		return err
	}
	m.log = m.output.log
	for _, step := range []func() error{m.openIdentity, m.openPIDFile, m.openListeners, m.openControl, m.openLogger} {
		if err := step(); err != nil {
			return err
		}
	}
	m.pool = pool.New(m.limits())
	m.tellStart()
	return nil
}

func (m *master) tellStart() {
	for _, l := range m.listeners {
		m.log.Info("listening", "addr", l.Address())
	}
	m.log.Info("master started", "version", m.opt.Version, "pid", os.Getpid(), "workers", m.pool.Wish(), "control", m.cfg.Control())
}

func (m *master) openIdentity() error {
	id, err := m.cfg.Identity()
	if err != nil {
		return fatal("uid", err)
	}
	var who []string
	if id != nil && !isMyself(id) {
		if os.Geteuid() != 0 {
			return fmt.Errorf("uid: only root can run workers as another user (%s)", label(id))
		}
		m.user = &stage.User{UID: int(id.UID), GID: int(id.GID), Name: label(id), Groups: []int{}}
		for _, g := range id.Groups {
			m.user.Groups = append(m.user.Groups, int(g))
		}
		if m.cfg.UID != "" {
			who = whoVariables(id)
		}
	}
	m.env, err = m.baseEnv(who)
	return err
}

// whoVariables tell the app who it is; with the master's it would look into a
// home that is closed to it. Who is only a number has "/", as in containers.
func whoVariables(id *config.Identity) []string {
	if id.User == "" {
		return []string{"HOME=/"}
	}
	return []string{"USER=" + id.User, "LOGNAME=" + id.User, "HOME=" + id.Home}
}

// isMyself says that nothing has to be given up: who is not root anyway may
// name himself in the file.
func isMyself(id *config.Identity) bool {
	return os.Geteuid() != 0 && int(id.UID) == os.Geteuid() && int(id.GID) == os.Getegid()
}

func label(id *config.Identity) string {
	if id.User != "" {
		return id.User
	}
	if u, err := user.LookupId(strconv.Itoa(int(id.UID))); err == nil {
		return u.Username
	}
	return "user " + strconv.Itoa(int(id.UID))
}

func (m *master) openPIDFile() error {
	if m.cfg.MasterPIDPath == "" {
		return nil
	}
	f, err := pidfile.Acquire(m.cfg.MasterPIDPath, os.Getpid())
	if err != nil {
		return err
	}
	m.pidFile = f
	return nil
}

func (m *master) openControl() error {
	path := m.cfg.Control()
	if m.cfg.ControlPath == "" {
		if err := control.PrepareFolder(filepath.Dir(path)); err != nil {
			return err
		}
	}
	l, err := sockets.Listen(sockets.Address{Network: "unix", Path: path},
		sockets.Options{Mode: 0o600, Owner: -1, Group: -1, Backlog: 64, Patience: -1})
	if err != nil {
		return fatal("control_path", err)
	}
	queues := make(map[string]*sockets.Listener, len(m.listeners))
	for _, x := range m.listeners {
		queues[x.Address()] = x
	}
	m.control, err = control.Serve(l, m.asks, func(address string) (waiting, limit int) { return queues[address].Queue() })
	return err
}

// openListeners takes what systemd handed over, then opens what the file names.
func (m *master) openListeners() error {
	inherited, err := sockets.Inherited(os.Getpid(), os.Getenv)
	if err != nil {
		return err
	}
	for _, name := range wire.WorkerEnv {
		_ = os.Unsetenv(name)
	}
	m.listeners = append(m.listeners, inherited...)
	for _, spec := range m.cfg.Addresses() {
		if err := m.listen(spec); err != nil {
			return err
		}
	}
	if len(m.listeners) == 0 {
		return fmt.Errorf("listen: there is no address to listen on and systemd handed over no socket")
	}
	return nil
}

func (m *master) listen(spec config.Listener) error {
	addr, err := sockets.ParseAddress(spec.Address)
	if err != nil {
		return err
	}
	if m.handedOver(addr) {
		return nil
	}
	opt, err := m.listenOptions(spec, addr)
	if err != nil {
		return fatal("listen on "+spec.Address, err)
	}
	l, err := sockets.Listen(addr, opt)
	if err != nil {
		return err
	}
	m.listeners = append(m.listeners, l)
	return nil
}

// handedOver says that addr is among what systemd opened already, by its name
// or because it is the same address.
func (m *master) handedOver(addr sockets.Address) bool {
	for _, l := range m.listeners {
		if !l.Adopted() {
			continue
		}
		if addr.Network == "systemd" && l.Name() == addr.Name || l.Address() == addr.String() {
			return true
		}
	}
	return false
}

func (m *master) listenOptions(spec config.Listener, addr sockets.Address) (sockets.Options, error) {
	opt := sockets.Options{Name: spec.Name, Backlog: spec.Backlog, DeferAccept: spec.DeferAccept,
		Mode: spec.Mode.Bits, Owner: -1, Group: -1, V6Only: m.sharesPort(addr)}
	var err error
	if spec.Owner != "" {
		if opt.Owner, err = config.UserID(spec.Owner); err != nil {
			return opt, fatal("owner", err)
		}
	}
	if spec.Group != "" {
		if opt.Group, err = config.GroupID(spec.Group); err != nil {
			return opt, fatal("group", err)
		}
	}
	return opt, nil
}

// sharesPort says that the IPv4 wildcard is listed with the same port, so that
// the IPv6 one must leave IPv4 to it.
func (m *master) sharesPort(addr sockets.Address) bool {
	for _, other := range m.cfg.Addresses() {
		o, err := sockets.ParseAddress(other.Address)
		if err == nil && o.Network == "tcp" && o.Host == "0.0.0.0" && o.Port == addr.Port {
			return true
		}
	}
	return false
}

func (m *master) openLogger() error { return m.output.startLogger(m.user) }

func (m *master) limits() pool.Limits {
	l := pool.Limits{Workers: m.cfg.WorkerCount(), Surge: m.cfg.Surge(), Boot: m.cfg.BootTimeout,
		Silence: m.silence(), Drain: m.cfg.WorkerKillTimeout, Grace: m.cfg.Watch.Grace}
	if rule := m.cfg.ReadyRule(); !m.opt.App.Self {
		l.Alive, l.Word, l.Staged = rule.Alive, rule.Word, true
	}
	return l
}

// settings are what the workers' side is told of the file.
func (m *master) settings() (string, error) {
	s := wire.Settings{BeatEvery: beatEvery, DrainLimit: m.cfg.WorkerKillTimeout, ControlPath: m.cfg.Control(), Verbose: m.cfg.Verbose,
		HTTP: wire.HTTP{ReadHeaderTimeout: m.cfg.HTTP.ReadHeaderTimeout, IdleTimeout: m.cfg.HTTP.IdleTimeout,
			ReadTimeout: m.cfg.HTTP.ReadTimeout, WriteTimeout: m.cfg.HTTP.WriteTimeout,
			Linger: m.cfg.HTTP.Linger, MaxHeaderBytes: int(m.cfg.HTTP.MaxHeaderBytes)},
		Watch: m.watchSettings()}
	if third := m.silence() / 3; third > 0 {
		s.BeatEvery = min(beatEvery, third)
	}
	text, err := json.Marshal(s)
	if len(text) > longestSettings {
		err = fmt.Errorf("[[watch.route]]: %d of them are more than a process can be handed", len(s.Watch.Routes))
	}
	return string(text), err
}

// longestSettings is below what execve(2) takes in one string (MAX_ARG_STRLEN,
// 128 KiB).
const longestSettings = 120 << 10

func (m *master) watchSettings() wire.Watch {
	w := wire.Watch{Timeout: m.cfg.Timeout, Status: m.cfg.Watch.Status}
	for _, r := range m.cfg.Watch.Routes {
		for _, p := range r.Patterns() {
			w.Routes = append(w.Routes, wire.Route{Pattern: p, Timeout: r.Timeout})
		}
	}
	return w
}

// shortestSilence is the least that a short timeout makes of heartbeat_timeout:
// a process on a busy machine may well not run for a second.
const shortestSilence = 2 * time.Second

// silence is how long a process may be silent: as long as a request may take, if
// that is shorter than heartbeat_timeout, for a process that is dead answers none.
func (m *master) silence() time.Duration {
	s := m.cfg.HeartbeatTimeout
	if t := m.cfg.Timeout; t > 0 && s > 0 {
		s = min(s, max(t, shortestSilence))
	}
	return s
}
