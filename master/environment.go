package master

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/fugue-http/fugue/internal/cgroup"
	"github.com/fugue-http/fugue/internal/config"
	"github.com/fugue-http/fugue/internal/stage"
	"github.com/fugue-http/fugue/internal/wire"
)

// beatEvery is how often a worker says that it lives, if heartbeat_timeout leaves
// room for three beats; one or two may then be late.
const beatEvery = time.Second

// inheritedEnv is the master's environment without what is meant for the master
// alone or for one worker.
func inheritedEnv() []string {
	mine := []string{stage.Env, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FUGUE_DAEMON_FD"}
	return stage.Without(os.Environ(), append(mine, wire.WorkerEnv...)...)
}

// settings are what the workers' side is told of the file.
func settings(cfg *config.Config, control string) (string, error) {
	s := wire.Settings{BeatEvery: beatEvery, DrainLimit: cfg.WorkerKillTimeout, ControlPath: control, Verbose: cfg.Verbose,
		HTTP: wire.HTTP{ReadHeaderTimeout: cfg.HTTP.ReadHeaderTimeout, IdleTimeout: cfg.HTTP.IdleTimeout,
			ReadTimeout: cfg.HTTP.ReadTimeout, WriteTimeout: cfg.HTTP.WriteTimeout,
			Linger: cfg.HTTP.Linger, MaxHeaderBytes: int(cfg.HTTP.MaxHeaderBytes), H2C: cfg.HTTP.H2C},
		Watch: watchSettings(cfg)}
	if third := silence(cfg) / 3; third > 0 {
		s.BeatEvery = min(beatEvery, third)
	}
	if cfg.App.Proxy {
		s.Proxy = &wire.Proxy{Ready: cfg.App.Ready, StopSignal: int(cfg.Signal()), Tmp: cfg.TmpPath}
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

func watchSettings(cfg *config.Config) wire.Watch {
	w := wire.Watch{Timeout: cfg.Timeout, Status: cfg.Watch.Status}
	for _, r := range cfg.Watch.Routes {
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
func silence(cfg *config.Config) time.Duration {
	s := cfg.HeartbeatTimeout
	if t := cfg.Timeout; t > 0 && s > 0 {
		s = min(s, max(t, shortestSilence))
	}
	return s
}

// baseEnv is what every worker gets: what it inherits, then what the file sets. With
// another user, who are the variables that name it.
func baseEnv(cfg *config.Config, who []string, control string) ([]string, error) {
	env := inheritedEnv()
	if who != nil {
		env = append(stage.Without(env, "USER", "LOGNAME", "HOME"), who...)
	}
	set := map[string]string{}
	if os.Getenv("GOMAXPROCS") == "" {
		set["GOMAXPROCS"] = strconv.Itoa(cfg.GoMaxProcs())
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		if n := cfg.MemoryLimit(cgroup.Memory(os.DirFS("/"))); n > 0 {
			set["GOMEMLIMIT"] = strconv.FormatInt(n, 10)
		}
	}
	maps.Copy(set, cfg.App.Env)
	text, err := settings(cfg, control)
	if err != nil {
		return nil, err
	}
	set[wire.EnvSettings] = text
	env = stage.Without(env, slices.Collect(maps.Keys(set))...)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		env = append(env, name+"="+set[name])
	}
	return env, nil
}
