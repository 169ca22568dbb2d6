package worker

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// The apps that the test binary plays, each a main function.

func serveHelper() int {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%d", os.Getpid()) })
	mux.HandleFunc("/echo", echo) // lasts as long as the client wants
	mux.HandleFunc("/who", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%d %d", ID(), Generation()) })
	mux.HandleFunc("/grandchild", func(w http.ResponseWriter, _ *http.Request) {
		out, err := exec.Command("sh", "-c", "ls -l /proc/self/fd; env").CombinedOutput()
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
		w.Write(out)
	})
	return report(Serve(mux, Addr(os.Getenv(argEnv))))
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
	w.Write(body)
}

func runHelper() int { return report(Run(&plainServer{})) }

// linesHelper writes numbered lines until it is drained.
func linesHelper() int {
	if err := Ready(); err != nil {
		return report(err)
	}
	for i := 0; ; i++ {
		select {
		case <-Draining():
			fmt.Println("end", i)
			return 0
		default:
			fmt.Println(i)
		}
	}
}

// hangHelper never returns from main.
func hangHelper() int {
	report(Serve(http.HandlerFunc(echo)))
	select {}
}

// idleHelper is a server of its own on Listeners.
func idleHelper() int {
	listeners, err := Listeners()
	if err != nil {
		return report(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(echo)}
	for _, ln := range listeners {
		go srv.Serve(ln)
	}
	if err := Ready(); err != nil {
		return report(err)
	}
	<-Draining()
	return report(srv.Shutdown(context.Background()))
}

// singleHelper serves one connection at a time, each of which means work.
func singleHelper() int {
	return report(Run(singleServer(func(c net.Conn) {
		var b [1]byte
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return
		}
		time.Sleep(singleWork)
		c.Write(b[:])
	})))
}

// singleWork times the connections of a test is far more than the 250 ms that a
// gate gives a queue that others serve as well.
const singleWork = 50 * time.Millisecond

// singleServer accepts the next connection when it has finished the one before.
type singleServer func(net.Conn)

func (serve singleServer) Serve(ln net.Listener) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		c.SetDeadline(time.Now().Add(limit))
		serve(c)
		c.Close()
	}
}

func report(err error) int {
	if err != nil {
		log.Print(err)
		return 3
	}
	return 0
}

// plainServer has no way to be told: it echoes until Accept fails.
type plainServer struct{ serving func(net.Conn) }

func (s *plainServer) Serve(ln net.Listener) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			if s.serving != nil {
				s.serving(c)
			}
			c.SetDeadline(time.Now().Add(limit))
			io.Copy(c, c)
		}()
	}
}
