package config

import (
	"fmt"
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
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return ReadyRule{}, fmt.Errorf(`%q is none of auto, pipe, notify and a duration such as "5s"`, text)
	}
	return ReadyRule{Alive: d}, nil
}

func checkReady(text string) error {
	_, err := readyRule(text)
	return err
}
