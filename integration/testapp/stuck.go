//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/fugue-http/fugue/httpwatch"
	"github.com/fugue-http/fugue/worker"
)

// watched adds what the tests of request timeouts need.
func watched(mux *http.ServeMux) {
	mux.HandleFunc("/stuck", stuck)
	mux.HandleFunc("/half", half)
	mux.HandleFunc("/late", late)
	mux.HandleFunc("/wait/", slow)
	mux.HandleFunc("/dependent", dependent)
	mux.HandleFunc("/longer", longer)
	mux.HandleFunc("/stream", stream)
	mux.HandleFunc("/hijack", hijack)
	mux.HandleFunc("/task", task)
	mux.HandleFunc("/read", read)
	mux.HandleFunc("/write", write)
	mux.HandleFunc("/busy", busy)
	mux.HandleFunc("/shout", shout)
}

// ways to be stuck. Each stays for ever in the line that says so; the tests look
// for its number in the stack.
var ways = map[string]func(){
	"block":     blockForEver,
	"spin":      spin,
	"sleep":     sleepForEver,
	"mutex":     lockTwice,
	"read":      readSilence,
	"recursion": func() { fmt.Println(descend(10_000)) },
}

func blockForEver() {
	<-make(chan int) // stuck: block
}

func spin() {
	for n := 1; n != 0; n = 3*n | 1 { // stuck: spin
	}
}

func sleepForEver() {
	time.Sleep(24 * time.Hour) // stuck: sleep
}

func lockTwice() {
	var mu sync.Mutex
	mu.Lock()
	mu.Lock() // stuck: mutex
}

// readSilence waits for the answer of a database that never comes.
func readSilence() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	c.Read(make([]byte, 1)) // stuck: read
}

func descend(levels int) int {
	if levels == 0 {
		return <-make(chan int) // stuck: recursion
	}
	return descend(levels-1) + 1
}

func stuck(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Secret", "of the handler")
	fmt.Println("stuck by", r.FormValue("how"))
	ways[r.FormValue("how")]()
}

// half sends a piece of an answer and is stuck.
func half(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, "the first half")
	http.NewResponseController(w).Flush()
	blockForEver()
}

// late returns when its context ends, and says why that was.
func late(w http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	fmt.Printf("late: %v\n", context.Cause(r.Context()))
	if _, err := fmt.Fprint(w, "too late"); err != nil {
		fmt.Printf("late: write: %v\n", err)
	}
}

// dependent does not look at its context and waits for a database that is away
// while a file is there.
func dependent(w http.ResponseWriter, r *http.Request) {
	for {
		if _, err := os.Stat(r.FormValue("on")); err != nil {
			fmt.Fprint(w, os.Getpid())
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func longer(w http.ResponseWriter, r *http.Request) {
	d, _ := time.ParseDuration(r.FormValue("limit"))
	if err := httpwatch.SetTimeout(r.Context(), d); err != nil {
		fmt.Println("longer:", err)
	}
	slow(w, r)
}

func stream(w http.ResponseWriter, r *http.Request) {
	if err := httpwatch.Exempt(r.Context()); err != nil {
		fmt.Println("stream:", err)
	}
	n, _ := strconv.Atoi(r.FormValue("n"))
	for i := range n {
		fmt.Fprintf(w, "%d\n", i)
		http.NewResponseController(w).Flush()
		time.Sleep(50 * time.Millisecond)
	}
}

// hijack echoes until the client has enough.
func hijack(w http.ResponseWriter, _ *http.Request) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		fmt.Println("hijack:", err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	io.Copy(c, rw)
}

// task begins one that lasts for a time, or for ever.
func task(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.FormValue("for"))
	if err != nil {
		d = 24 * time.Hour
	}
	go runTask(r.FormValue("label"), d)
	fmt.Fprint(w, os.Getpid())
}

func runTask(label string, d time.Duration) {
	t := worker.Begin(label)
	defer t.Done()
	time.Sleep(d) // stuck: task
}

// read tells how much of a body there was.
func read(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		fmt.Println("read ended:", err)
	}
	fmt.Fprint(w, n)
}

// write sends that many bytes.
func write(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("bytes"))
	w.Header().Set("Content-Length", strconv.Itoa(n))
	if _, err := io.CopyN(w, zeros{}, int64(n)); err != nil {
		fmt.Println("write ended:", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// busy has every processor of this worker count.
func busy(w http.ResponseWriter, r *http.Request) {
	d, _ := time.ParseDuration(r.FormValue("for"))
	var all sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for end := time.Now().Add(d); time.Now().Before(end); {
			}
		})
	}
	all.Wait()
	fmt.Fprint(w, os.Getpid())
}

// shout writes its body into the heartbeat pipe n times and waits for room, as
// no honest worker does. It returns at once and says when it has finished.
func shout(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil {
		n = 1
	}
	go func() {
		shouting.Lock() // one after the other, so that they do not cut each other
		defer shouting.Unlock()
		for range n {
			shoutOnce(text)
		}
		fmt.Println("shouted", r.URL.Query().Get("what"))
	}()
	fmt.Fprint(w, os.Getpid())
}

var shouting sync.Mutex

func shoutOnce(text []byte) {
	for len(text) > 0 {
		switch n, err := syscall.Write(pipeFD, text); err {
		case nil:
			text = text[n:]
		case syscall.EAGAIN:
			time.Sleep(time.Millisecond)
		default:
			return
		}
	}
}
