// Command plainapp is the app that the integration tests run behind the proxy: a
// plain HTTP server that knows nothing of fugue and misbehaves on request. It
// imports nothing of this module.
package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	switch os.Getenv("BOOT") {
	case "crash":
		fmt.Fprintln(os.Stderr, "boom: no database")
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	}
	network, addr := "unix", os.Getenv("FUGUE_APP_SOCKET")
	if os.Getenv("ON") == "port" {
		network, addr = "tcp", "127.0.0.1:"+os.Getenv("PORT")
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "plainapp:", err)
		os.Exit(1)
	}
	srv := &http.Server{Handler: routes(ln)}
	if os.Getenv("H2C") != "" {
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetUnencryptedHTTP2(true)
	}
	go leave(srv)
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		fmt.Println("plainapp does not listen any more:", err)
	}
	select {} // leave ends the process
}

// leave is what a well-behaved server does when it is asked to.
func leave(srv *http.Server) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	<-asked
	if os.Getenv("DEAF") != "" {
		select {}
	}
	err := srv.Shutdown(context.Background())
	fmt.Println("plainapp says goodbye", err)
	os.Exit(0)
}

func routes(ln net.Listener) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("VERSION")) })
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/pattern", pattern)
	mux.HandleFunc("/sum", sum)
	mux.HandleFunc("/headers", headers)
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/proto", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })
	mux.HandleFunc("/hang", func(http.ResponseWriter, *http.Request) { select {} })
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	mux.HandleFunc("/refuse", func(http.ResponseWriter, *http.Request) { ln.Close() })
	mux.HandleFunc("/log", func(_ http.ResponseWriter, r *http.Request) { fmt.Println(r.FormValue("line")) })
	mux.HandleFunc("/up", up())
	mux.HandleFunc("/ws", upgrade)
	mux.HandleFunc("/events", events)
	return mux
}

func sign(h http.Header) {
	h.Set("X-Version", os.Getenv("VERSION"))
	h.Set("X-PID", strconv.Itoa(os.Getpid()))
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fmt.Println("echo ended:", err)
		return
	}
	sign(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// pattern sends bytes of which number i is i mod 251.
func pattern(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("bytes"))
	body := make([]byte, n)
	for i := range body {
		body[i] = byte(i % 251)
	}
	sign(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(n))
	_, _ = w.Write(body)
}

func sum(w http.ResponseWriter, r *http.Request) {
	h := crc32.NewIEEE()
	n, err := io.Copy(h, r.Body)
	if err != nil {
		fmt.Println("sum ended:", err)
		return
	}
	fmt.Fprintf(w, "%d %08x", n, h.Sum32())
}

func headers(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Host: %s\nURI: %s\n", r.Host, r.RequestURI)
	_ = r.Header.Write(w)
}

func slow(w http.ResponseWriter, r *http.Request) {
	d, _ := time.ParseDuration(r.FormValue("for"))
	time.Sleep(d)
	fmt.Fprint(w, os.Getpid())
}

// up is well from the third look on.
func up() http.HandlerFunc {
	looks := make(chan struct{}, 2)
	return func(w http.ResponseWriter, _ *http.Request) {
		select {
		case looks <- struct{}{}:
			fmt.Println("plainapp is not up yet")
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
		}
	}
}

// upgrade takes the connection over and sends back what comes, in capitals.
func upgrade(w http.ResponseWriter, r *http.Request) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		fmt.Println("upgrade:", err)
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprint(c, strings.ToUpper(line))
	}
}

// events are server-sent ones, one for each pause, until the client has gone.
func events(w http.ResponseWriter, r *http.Request) {
	pause, _ := time.ParseDuration(r.FormValue("every"))
	w.Header().Set("Content-Type", "text/event-stream")
	for i := 0; r.Context().Err() == nil; i++ {
		fmt.Fprintf(w, "data: %d\n\n", i)
		_ = http.NewResponseController(w).Flush()
		time.Sleep(pause)
	}
}
