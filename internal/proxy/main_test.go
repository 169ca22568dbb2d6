package proxy

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const helperEnv = "PROXY_TEST_HELPER" // names the app that the test binary is to play

// helpers are the apps. One that no test starts is a mistake.
var helpers = map[string]func() int{
	"port":    func() int { return listen("tcp", "127.0.0.1:"+os.Getenv(envPort)) },
	"ipv6":    func() int { return listen("tcp", "[::1]:"+os.Getenv(envPort)) },
	"socket":  func() int { return listen("unix", os.Getenv(envSocket)) },
	"deaf":    deafHelper,
	"nothing": func() int { select {} },
	"dies":    func() int { return 3 },
	"parent":  parentHelper,
}

func listen(network, addr string) int {
	ln, err := net.Listen(network, addr)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var warm time.Time
	err = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/warm": // well from the second look on
			if warm.IsZero() {
				warm = time.Now()
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			w.WriteHeader(http.StatusFound)
		case "/env":
			fmt.Fprint(w, strings.Join(os.Environ(), "\n"))
		}
	}))
	fmt.Println(err)
	return 1
}

// deafHelper does not leave when it is asked to.
func deafHelper() int {
	signal.Ignore(syscall.SIGTERM)
	return listen("unix", os.Getenv(envSocket))
}

// parentHelper starts an app and says its pid; the test then kills this process.
func parentHelper() int {
	a, err := startApp([]string{os.Args[0]}, append(os.Environ(), helperEnv+"=nothing"))
	if err != nil {
		return 1
	}
	fmt.Println(a.process.Pid)
	select {}
}

var (
	usedMu sync.Mutex // guards used
	used   = map[string]bool{}
)

// playing is an environment in which the test binary is that helper.
func playing(helper string, env ...string) []string {
	usedMu.Lock()
	defer usedMu.Unlock()
	used[helper] = true
	return append(append(os.Environ(), env...), helperEnv+"="+helper)
}

func TestMain(m *testing.M) {
	if name := os.Getenv(helperEnv); name != "" {
		os.Exit(helpers[name]())
	}
	flag.Parse()
	usedMu.Lock()
	used["nothing"] = true // by parentHelper
	usedMu.Unlock()
	code := m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
		for name := range helpers {
			if !used[name] {
				fmt.Fprintf(os.Stderr, "helper %q is used by no test\n", name)
				code = 1
			}
		}
	}
	os.Exit(code)
}
