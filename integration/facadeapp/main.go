//go:build linux

// Command facadeapp is the Go program that the integration tests run as its own
// master: a net/http server on package fugue, whose options come as JSON in the
// variable OPTIONS. It is not an example of anything else.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/fugue-http/fugue"
)

// version tells two builds apart: -ldflags "-X main.version=v2".
var version = "v1"

// report is what a process says of itself, as a line on stderr and to clients.
type report struct {
	PID, UID, WorkerID int
	Master, Worker     bool
	WorkerPIDs         []int
	Control, Dir       string
}

func now() report {
	dir, _ := os.Getwd()
	return report{PID: os.Getpid(), UID: os.Getuid(), WorkerID: fugue.WorkerID(), Master: fugue.IsMaster(),
		Worker: fugue.IsWorker(), WorkerPIDs: fugue.WorkerPIDs(), Control: fugue.ControlPath(), Dir: dir}
}

func main() {
	var opts fugue.Options
	if err := json.Unmarshal([]byte(os.Getenv("OPTIONS")), &opts); err != nil {
		fmt.Fprintln(os.Stderr, "facadeapp: OPTIONS:", err)
		os.Exit(2)
	}
	say("before", now())
	opts.Started = started
	mux := http.NewServeMux()
	mux.HandleFunc("/self", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(now()) })
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, version) })
	mux.HandleFunc("/stop", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, fugue.Stop()) })
	err := fugue.Start(&http.Server{Handler: mux}, opts)
	say("after", now())
	if again := fugue.Start(&http.Server{}, opts); again == nil {
		err = errors.New("a second Start worked")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "facadeapp:", err)
		os.Exit(1)
	}
}

// started stops the master at once if STOP_WHEN_STARTED asks for it.
func started() {
	say("started", now())
	if os.Getenv("STOP_WHEN_STARTED") != "" && fugue.IsMaster() {
		if err := fugue.Stop(); err != nil {
			say("stop", err.Error())
		}
	}
}

// say writes one line in one write: master and workers share stderr.
func say(what string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte(err.Error())
	}
	fmt.Fprintf(os.Stderr, "facadeapp %s %s\n", what, text)
}
