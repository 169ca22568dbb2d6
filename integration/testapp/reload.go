//go:build linux

package main

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/fugue-http/fugue/worker"
)

// version tells two builds apart: -ldflags "-X main.version=v2".
var version = "v1"

// deployed adds what the tests of reload and upgrade need.
func deployed(mux *http.ServeMux) {
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, version) })
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/pattern", pattern)
	mux.HandleFunc("/sum", sum)
	mux.HandleFunc("/mem", mem)
	mux.HandleFunc("/garbage", garbage)
}

// sign says who answers.
func sign(h http.Header) {
	h.Set("X-Version", version)
	h.Set("X-PID", strconv.Itoa(os.Getpid()))
	h.Set("X-Generation", strconv.Itoa(worker.Generation()))
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fmt.Println("echo ended:", err)
		return
	}
	sign(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

// pattern sends that many bytes, each of which tells where it stands.
func pattern(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("bytes"))
	sign(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(n))
	if _, err := io.CopyN(w, &places{}, int64(n)); err != nil {
		fmt.Println("pattern ended:", err)
	}
}

// places is the endless pattern: byte i is i mod 251, a prime, so that no lost or
// doubled block fits.
type places struct{ at int }

func (p *places) Read(to []byte) (int, error) {
	for i := range to {
		to[i] = byte((p.at + i) % 251)
	}
	p.at += len(to)
	return len(to), nil
}

// sum tells the length and the checksum of a body.
func sum(w http.ResponseWriter, r *http.Request) {
	h := crc32.NewIEEE()
	n, err := io.Copy(h, r.Body)
	if err != nil {
		fmt.Println("sum ended:", err)
		return
	}
	sign(w.Header())
	fmt.Fprintf(w, "%d %08x", n, h.Sum32())
}

var kept struct {
	sync.Mutex
	blocks [][]byte
}

// mem takes that many MiB and keeps them.
func mem(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("mib"))
	block := make([]byte, n<<20)
	for i := 0; i < len(block); i += os.Getpagesize() {
		block[i] = 1
	}
	kept.Lock()
	kept.blocks = append(kept.blocks, block)
	kept.Unlock()
	fmt.Fprint(w, os.Getpid())
}

// garbage allocates so much that nobody keeps, a bit at a time.
func garbage(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("mib"))
	sum := byte(0)
	for range n << 3 {
		block := make([]byte, 128<<10)
		for i := 0; i < len(block); i += os.Getpagesize() {
			block[i]++
		}
		sum += block[0]
	}
	w.Header().Set("X-Sum", strconv.Itoa(int(sum))) // so that none of it is left out
	fmt.Fprint(w, os.Getpid())
}

// serial is a server that takes one connection at a time and needs a while for
// each, as a program without threads does. It has no method to be told to leave.
type serial struct{ pause time.Duration }

func (s serial) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		s.answer(c)
	}
}

func (s serial) answer(c net.Conn) {
	defer c.Close()
	if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
		return
	}
	time.Sleep(s.pause)
	pid := strconv.Itoa(os.Getpid())
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(pid), pid)
}
