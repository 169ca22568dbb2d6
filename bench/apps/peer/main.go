// Peer is what fugue-http is compared with among Go servers:
//
//	peer plain ADDRESS             net/http in one process
//	peer prefork ADDRESS WORKERS   net/http in several, on one socket, the naive way
//	peer fasthttp ADDRESS WORKERS  fasthttp with its own prefork
//
// ADDRESS is host:port or unix:/path.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/prefork"

	"github.com/fugue-http/fugue/bench/apps/handler"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: peer plain|prefork|fasthttp ADDRESS [WORKERS]")
	}
	workers := 2
	if len(args) > 2 {
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return fmt.Errorf("WORKERS: %w", err)
		}
		workers = n
	}
	switch args[0] {
	case "plain":
		return plain(args[1])
	case "prefork":
		return fork(args[1], workers)
	case "fasthttp":
		return fast(args[1], workers)
	}
	return fmt.Errorf("no peer %q", args[0])
}

func listen(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return net.Listen("unix", path)
	}
	return net.Listen("tcp", address)
}

func plain(address string) error {
	ln, err := listen(address)
	if err != nil {
		return err
	}
	return http.Serve(ln, handler.New())
}

// child is set in the workers of fork.
const child = "BENCH_PREFORK_CHILD"

// fork is prefork as one writes it in an afternoon: the workers inherit the socket
// and accept from it, each with one thread for Go code.
func fork(address string, workers int) error {
	if os.Getenv(child) != "" {
		ln, err := net.FileListener(os.NewFile(3, "listener"))
		if err != nil {
			return err
		}
		return http.Serve(ln, handler.New())
	}
	ln, err := listen(address)
	if err != nil {
		return err
	}
	f, err := ln.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return err
	}
	var all []*exec.Cmd
	for range workers {
		cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Env = append(os.Environ(), child+"=1", "GOMAXPROCS=1")
		cmd.ExtraFiles, cmd.Stderr = []*os.File{f}, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		all = append(all, cmd)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	for _, cmd := range all {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	return nil
}

// fast takes its number of workers from GOMAXPROCS.
func fast(address string, workers int) error {
	runtime.GOMAXPROCS(workers)
	hello := handler.Hello()
	s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/big":
			ctx.SetBody(handler.Big)
		case "/cpu":
			handler.Compute()
			fallthrough
		default:
			ctx.SetContentType("text/plain")
			ctx.SetBodyString(hello)
		}
	}}
	return prefork.New(s).ListenAndServe(address)
}
