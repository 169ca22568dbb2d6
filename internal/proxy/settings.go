package proxy

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/fugue-http/fugue/internal/wire"
)

// settings are what the pair needs of the file.
type settings struct {
	ready  rule
	signal syscall.Signal // asks the app to leave
	tmp    string         // where the folder of the socket is made
	h2c    bool           // the app is spoken to as the client speaks
	limit  time.Duration  // how long a request, and so a health check, may take; 0 = no limit
}

// readSettings reads what the master has put into the environment; text is "" for
// a worker alone.
func readSettings(text string) (settings, error) {
	var s wire.Settings
	if text != "" {
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return settings{}, fmt.Errorf("%s: %w", wire.EnvSettings, err)
		}
	}
	p := wire.Proxy{Ready: "auto", StopSignal: int(syscall.SIGTERM), Tmp: os.TempDir()}
	if s.Proxy != nil {
		p = *s.Proxy
	}
	ready, err := parseRule(p.Ready)
	return settings{ready: ready, signal: syscall.Signal(p.StopSignal), tmp: p.Tmp, h2c: s.HTTP.H2C, limit: s.Watch.Timeout}, err
}

// rule says when the app counts as ready: it accepts connections, and what is set
// here.
type rule struct {
	alive time.Duration // it has lived for so long
	path  string        // a GET of it is answered with 2xx or 3xx
}

func parseRule(text string) (rule, error) {
	if path, ok := strings.CutPrefix(text, "http://"); ok {
		return rule{path: path}, nil
	}
	if text == "auto" {
		return rule{}, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return rule{}, fmt.Errorf("app.ready: %w", err)
	}
	return rule{alive: d}, nil
}
