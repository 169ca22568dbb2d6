// Command tcp is fugue's first example, in Go: a plain TCP server that tells
// every client who answers it, under preforked workers.
//
//	go run ./examples/tcp -listen 127.0.0.1:4000 -workers 4
//	nc 127.0.0.1 4000
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/user"
	"strings"

	"github.com/fugue-http/fugue"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:4000", "address, or unix:/path")
	workers := flag.Int("workers", 4, "number of workers")
	uid := flag.String("uid", "", "user to run the workers as (needs root)")
	dir := flag.String("working-path", "", "working directory of the workers")
	flag.Parse()

	err := fugue.Start(greeter{}, fugue.Options{
		Listen: strings.Split(*listen, ","), Workers: *workers, UID: *uid, WorkingPath: *dir,
		Started: started,
	})
	if err != nil {
		log.Fatal(err)
	}
}

func started() {
	if fugue.IsMaster() {
		log.Printf("master %d: workers %v", os.Getpid(), fugue.WorkerPIDs())
	}
}

// greeter answers each connection with a line about its worker.
type greeter struct{}

// Serve accepts until the listener is closed.
func (greeter) Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go greet(conn)
	}
}

func greet(conn net.Conn) {
	defer conn.Close()
	name := fmt.Sprint(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	dir, _ := os.Getwd()
	fmt.Fprintf(conn, "pid %d, worker %d, user %s, working directory %s\n", os.Getpid(), fugue.WorkerID(), name, dir)
}
