package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// A ReadyRule says when a worker counts as ready.
type ReadyRule struct {
	Word  bool          // its word counts: "ready" in the pipe
	Alive time.Duration // without it, it counts as ready when alive for this long; 0 = never without its word
}

// autoAlive is long enough for a broken app to die in, and short enough for a
// reload of many workers not to drag on.
const autoAlive = time.Second

// ReadyRule is app.ready; that of "auto" if it cannot be read, which Validate
// refuses.
func (c *Config) ReadyRule() ReadyRule {
	rule, err := readyRule(c.App.Ready)
	if err != nil {
		return ReadyRule{Word: true, Alive: autoAlive}
	}
	return rule
}

func readyRule(text string) (ReadyRule, error) {
	switch text {
	case "auto":
		return ReadyRule{Word: true, Alive: autoAlive}, nil
	case "pipe", "notify":
		return ReadyRule{Word: true}, nil
	}
	if strings.HasPrefix(text, "http:") {
		return ReadyRule{Word: true}, checkProbe(text) // the worker probes the app, and gives its word
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return ReadyRule{}, fmt.Errorf(`%q is none of auto, pipe, notify, http:///path and a duration such as "5s"`, text)
	}
	return ReadyRule{Alive: d}, nil
}

// checkProbe wants the path alone: which address the app has, only its worker knows.
func checkProbe(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host != "" || u.User != nil || u.Fragment != "" || !strings.HasPrefix(text, "http:///") {
		return fmt.Errorf(`%q cannot be probed: write "http:///path", with three slashes; the worker knows the address`, text)
	}
	return nil
}

// checkReadyWith says whether a worker of this kind can be asked for that.
func (a App) checkReadyWith() error {
	probe := strings.HasPrefix(a.Ready, "http:")
	switch word := a.Ready == "pipe" || a.Ready == "notify"; {
	case probe && !a.Proxy:
		return errors.New("a probe is for proxy = true; another app says by itself when it is ready")
	case word && a.Proxy:
		return fmt.Errorf("%q is not for proxy = true, where the app knows nothing of fugue: auto, http:///path or a duration", a.Ready)
	}
	return nil
}

func checkReady(text string) error {
	_, err := readyRule(text)
	return err
}
