package main

import (
	"net/http"

	"github.com/fugue-http/fugue/internal/demo"
	"github.com/fugue-http/fugue/internal/proxy"
	"github.com/fugue-http/fugue/internal/static"
	"github.com/fugue-http/fugue/internal/version"
	"github.com/fugue-http/fugue/worker"
)

// serve is what the workers of the built-in apps run: `serve demo`, `serve root
// DIR`, and `serve proxy -- COMMAND…` in front of a plain server. It is no verb for
// people, though it serves alone, too.
func serve(args []string) error {
	if len(args) > 2 && args[0] == "proxy" && args[1] == "--" {
		return proxy.Run(args[2:])
	}
	h, err := builtin(args)
	if err != nil {
		return err
	}
	return worker.Serve(h)
}

func builtin(args []string) (http.Handler, error) {
	switch {
	case len(args) == 1 && args[0] == "demo":
		return demo.New(demo.Info{WorkerID: worker.ID(), Generation: worker.Generation(), Version: version.String()}), nil
	case len(args) == 2 && args[0] == "root":
		return static.New(args[1])
	}
	return nil, misused("serve takes demo, root and a folder, or proxy, -- and a command")
}
