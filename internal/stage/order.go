package stage

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/fugue-http/fugue/internal/wire"
)

// Env carries the order. It is removed before the app starts.
const Env = wire.EnvStage

// Order is what is to be done before the app runs.
type Order struct {
	Master int      `json:"master"`          // pid of the master; another parent means it died
	Dir    string   `json:"dir,omitempty"`   // working directory, entered before rights are dropped, as Unicorn does
	Umask  *int     `json:"umask,omitempty"` // nil: inherited
	User   *User    `json:"user,omitempty"`  // nil: the master's
	Locked bool     `json:"locked,omitempty"`
	Death  int      `json:"death,omitempty"` // signal when the master dies (PR_SET_PDEATHSIG), 0 for none
	Sched  string   `json:"sched,omitempty"` // scheduling policy, "" for the master's
	Argv   []string `json:"argv"`
	Self   bool     `json:"self,omitempty"` // run this same binary instead of looking Argv[0] up

	// Exe is the descriptor of a binary that the master has kept open, 0 for none.
	// With Self it is run instead of the running one. Otherwise it is run if it is
	// Proven, that is, a worker has been ready with it, and Argv[0] leads to another
	// file by now.
	Exe    int  `json:"exe,omitempty"`
	Proven bool `json:"proven,omitempty"`
}

// User are the ids a worker runs with. Groups replaces the supplementary groups
// whole; an empty list leaves none.
type User struct {
	UID    int    `json:"uid"` // -1: unchanged
	GID    int    `json:"gid"`
	Groups []int  `json:"groups"`
	Name   string `json:"name"` // for messages
}

// Environ returns env with the order added.
func (o Order) Environ(env []string) []string {
	text, err := json.Marshal(o)
	if err != nil {
		panic("stage: an Order always encodes: " + err.Error())
	}
	return append(slices.Clip(env), Env+"="+string(text))
}

func readOrder() (Order, error) {
	var o Order
	if err := json.Unmarshal([]byte(os.Getenv(Env)), &o); err != nil {
		return o, fmt.Errorf("%s: %w", Env, err)
	}
	if len(o.Argv) == 0 {
		return o, fmt.Errorf("%s: no program", Env)
	}
	return o, nil
}

// Without returns env without the named variables.
func Without(env []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(names, name)
	})
}
