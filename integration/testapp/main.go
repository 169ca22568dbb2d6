//go:build linux

// Command testapp is the app that the integration tests run under fugue-http: an
// HTTP server on package worker that shows what it was given and misbehaves on
// request. It is not an example of anything else.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fugue-http/fugue/worker"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "connect" {
		connect(os.Args[2])
		return
	}
	if how := os.Getenv("BOOT"); how != "" {
		boot(how)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/self", self)
	mux.HandleFunc("/crash", crash)
	mux.HandleFunc("/log", lines)
	mux.HandleFunc("/child", child)
	mux.HandleFunc("/deaf", deaf)
	mux.HandleFunc("/pipe", pipe)
	mux.HandleFunc("/run", run)
	mux.HandleFunc("/close", closeAll)
	mux.HandleFunc("/hog", hog)
	mux.HandleFunc("/regain", regain)
	watched(mux)
	deployed(mux)
	serve := func() error { return worker.Serve(mux) }
	if d, err := time.ParseDuration(os.Getenv("SERIAL")); err == nil {
		serve = func() error { return worker.Run(serial{d}) }
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "testapp:", err)
		os.Exit(1)
	}
}

// boot misbehaves before the worker is ready. A path in BOOT_IF makes it
// conditional on that file, so that a test can break an app that runs.
func boot(how string) {
	if path := os.Getenv("BOOT_IF"); path != "" {
		if _, err := os.Stat(path); err != nil {
			return
		}
	}
	switch how {
	case "crash":
		fmt.Fprintln(os.Stderr, "boom: no database")
		os.Exit(3)
	case "hang":
		fmt.Println("hanging")
		select {}
	case "slow":
		d, _ := time.ParseDuration(os.Getenv("BOOT_FOR"))
		time.Sleep(d)
	case "late":
		time.AfterFunc(200*time.Millisecond, func() { os.Exit(3) })
	case "blocking": // a careless app, and one that dies of it
		syscall.SetNonblock(3, false)
		os.Exit(3)
	case "deaf":
		signal.Ignore(syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT)
		fmt.Fprintln(os.Stderr, "testapp: deaf")
		select {}
	}
}

// pipeFD is read before the worker package removes it from the environment.
var pipeFD, _ = strconv.Atoi(os.Getenv("FUGUE_PIPE_FD"))

func slow(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.FormValue("for"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	time.Sleep(d)
	fmt.Fprint(w, os.Getpid())
}

type description struct {
	PID, PPID, PGID int
	UID, GID        int
	Groups          []int
	Dir             string
	Umask           int
	FDs             map[string]string
	Env             []string
	Status          string // /proc/self/status
	ID, Generation  int
}

func self(w http.ResponseWriter, _ *http.Request) {
	groups, _ := os.Getgroups()
	dir, _ := os.Getwd()
	status, _ := os.ReadFile("/proc/self/status")
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	d := description{PID: os.Getpid(), PPID: os.Getppid(), PGID: syscall.Getpgrp(), UID: os.Getuid(), GID: os.Getgid(),
		Groups: groups, Dir: dir, Umask: mask, FDs: descriptors(), Env: os.Environ(), Status: string(status),
		ID: worker.ID(), Generation: worker.Generation()}
	json.NewEncoder(w).Encode(d)
}

func descriptors() map[string]string {
	found := map[string]string{}
	list, _ := filepath.Glob("/proc/self/fd/*")
	for _, path := range list {
		if target, err := os.Readlink(path); err == nil {
			found[filepath.Base(path)] = target
		}
	}
	return found
}

func crash(_ http.ResponseWriter, r *http.Request) {
	switch r.FormValue("how") {
	case "exit":
		code, _ := strconv.Atoi(r.FormValue("code"))
		os.Exit(code)
	case "abort":
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
	default:
		go panic("testapp: crash as asked")
	}
	select {}
}

// lines writes n numbered lines to stdout, each in one write.
func lines(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("n"))
	for i := range n {
		fmt.Printf("line %s %d\n", r.FormValue("tag"), i)
	}
	fmt.Fprint(w, n)
}

// child leaves a process behind, in this worker's group.
func child(w http.ResponseWriter, _ *http.Request) {
	c := exec.Command("sleep", "600")
	if err := c.Start(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	go c.Wait()
	fmt.Fprint(w, c.Process.Pid)
}

func deaf(w http.ResponseWriter, _ *http.Request) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGINT, syscall.SIGABRT)
	fmt.Fprint(w, "deaf")
}

// pipe writes something into the heartbeat pipe, repeated n times.
func pipe(w http.ResponseWriter, r *http.Request) {
	text := r.FormValue("text")
	if size, err := strconv.Atoi(r.FormValue("size")); err == nil {
		text = strings.Repeat("x", size)
	}
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil {
		n = 1
	}
	wrote := 0
	for range n {
		got, err := syscall.Write(pipeFD, []byte(text))
		if err == nil {
			wrote += got
		}
	}
	fmt.Fprint(w, wrote)
}

// run shows what a program that the app starts finds.
func run(w http.ResponseWriter, r *http.Request) {
	out, err := exec.Command("/bin/sh", "-c", r.FormValue("sh")).CombinedOutput()
	if err != nil {
		fmt.Fprintln(w, err)
	}
	w.Write(out)
}

// regain tries to become root again.
func regain(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "setuid", syscall.Setuid(0))
	fmt.Fprintln(w, "setresuid", syscall.Setresuid(-1, 0, -1))
	fmt.Fprintln(w, "setgid", syscall.Setgid(0))
	fmt.Fprintln(w, "setgroups", syscall.Setgroups([]int{0}))
}

// connect asks for the status on a control socket, as whoever runs this.
func connect(path string) {
	c, err := net.Dial("unix", path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /status HTTP/1.0\r\n\r\n")
	io.Copy(os.Stdout, c)
}

// closeAll closes its heartbeat pipe behind the back of package worker, as daemons of
// old do with all that they have not opened themselves.
func closeAll(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, "closed")
	go syscall.Close(pipeFD) // the command socket has another number by now, and a client may have its old one
}

// hog takes memory until someone stops it.
func hog(http.ResponseWriter, *http.Request) {
	for page := os.Getpagesize(); ; {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += page {
			block[i] = 1
		}
		hogged = append(hogged, block)
	}
}

var hogged [][]byte
