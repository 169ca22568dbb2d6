package master

import (
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/stage"
	"github.com/fugue-http/fugue/master/pool"
	"github.com/fugue-http/fugue/sockets"
)

// generation is what the workers since one reload have in common. It is written
// down for the next image of the master, which may have to start more of them
// when the file says something else already.
type generation struct {
	Number  int         `json:"number"`
	App     App         `json:"app"`
	Env     []string    `json:"env"`            // of its workers, less what each one has of its own
	User    *stage.User `json:"user,omitempty"` // whom workers become, nil for the master's own user
	Dir     string      `json:"dir"`
	Umask   *int        `json:"umask,omitempty"`
	Locked  bool        `json:"locked,omitempty"`
	Signal  int         `json:"signal"` // asks a foreign app to leave
	Sched   string      `json:"sched"`
	Limits  pool.Limits `json:"limits"`
	Workers int         `json:"workers"` // as the file has it; the wish may be another
	House   house       `json:"house"`
	Foreign bool        `json:"foreign,omitempty"` // its workers serve no sockets but their own; known once one is ready

	listeners []*listener
	options   []sockets.Options // of the listeners, as this generation has them; their names are for its workers
	program   program
}

// house are the settings that concern the master itself.
type house struct {
	Logs       logSettings `json:"logs"`
	Control    string      `json:"control"`
	OwnFolder  bool        `json:"own_folder,omitempty"` // the control socket's folder is ours to make
	PIDPath    string      `json:"pid_path,omitempty"`
	Background bool        `json:"background,omitempty"`
}

// newGeneration works out what a file means. It looks users up, which may take
// time, and changes nothing. control is the path of the control socket that there
// is, which takes a new start to change; "" at the start.
func newGeneration(cfg *config.Config, app App, control string) (*generation, error) {
	g := &generation{App: app, Dir: cfg.WorkDir(), Locked: cfg.NoNewPrivileges(), Signal: int(cfg.Signal()), Sched: cfg.App.Sched,
		Limits: limits(cfg, app), Workers: cfg.WorkerCount(),
		House: house{Control: cfg.Control(), OwnFolder: cfg.ControlPath == "", PIDPath: cfg.MasterPIDPath, Background: cfg.Daemonize,
			Logs: logSettings{Workers: cfg.LogFile, Master: cfg.MasterLogFile, Format: cfg.LogFormat, Verbose: cfg.Verbose,
				Hidden: cfg.Daemonize, Foreign: !app.Self || cfg.App.Proxy}}}
	if cfg.Umask.Set {
		mask := int(cfg.Umask.Bits)
		g.Umask = &mask
	}
	who, err := g.identify(cfg)
	if err != nil {
		return nil, err
	}
	if control == "" {
		control = g.House.Control
	}
	if g.Env, err = baseEnv(cfg, who, control); err != nil {
		return nil, err
	}
	g.program, err = openProgram(app)
	return g, err
}

// identify finds whom the workers become, and the variables that name him.
func (g *generation) identify(cfg *config.Config) (who []string, err error) {
	id, err := cfg.Identity()
	if err != nil {
		return nil, fatal("uid", err)
	}
	if id == nil || isMyself(id) {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("uid: only root can run workers as another user (%s)", label(id))
	}
	g.User = &stage.User{UID: int(id.UID), GID: int(id.GID), Name: label(id), Groups: []int{}}
	for _, n := range id.Groups {
		g.User.Groups = append(g.User.Groups, int(n))
	}
	if cfg.UID != "" {
		who = whoVariables(id)
	}
	return who, nil
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

func limits(cfg *config.Config, app App) pool.Limits {
	l := pool.Limits{Workers: cfg.WorkerCount(), Surge: cfg.Surge(), Boot: cfg.BootTimeout,
		Silence: silence(cfg), Drain: cfg.WorkerKillTimeout, Grace: cfg.Watch.Grace, Delay: cfg.ShutdownDelay,
		MaxRequests: uint64(cfg.Recycle.MaxRequests), Jitter: uint64(cfg.Recycle.MaxRequestsJitter),
		MaxMemory: int64(cfg.Recycle.MaxMemory), MaxAge: cfg.Recycle.MaxAge}
	if rule := cfg.ReadyRule(); !app.Self {
		l.Alive, l.Word, l.Staged = rule.Alive, rule.Word, true
	}
	return l
}
