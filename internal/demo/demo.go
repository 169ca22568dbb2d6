package demo

import (
	"fmt"
	"net/http"
	"os"
)

// Info is what the demonstration tells of the worker it runs in.
type Info struct {
	WorkerID   int // the slot, 1…N; 0 when there is no master
	Generation int
	Version    string // "" is shown as development
}

// app is used by many goroutines at once and never changes.
type app struct{ Info }

// route is one line of the table from which both the mux and the welcome page
// are made.
type route struct {
	Pattern string
	Links   []string // targets to try; the first is the route itself
	Tells   string   // what will happen
	handler http.HandlerFunc
}

func (a app) routes() []route {
	return []route{
		{"GET /hello", []string{"/hello"}, "One line that says who answered.", a.hello},
		{"GET /sleep", []string{"/sleep?for=2s", "/sleep?for=90s"}, "Answers late. Beyond the timeout, its context is cancelled and you get a 504; it obeys, so the worker lives on.", a.sleep},
		{"GET /stuck", stuckLinks(), "Never returns, and ignores its context. You get a 504 all the same; the log names the function; the worker is replaced once its neighbours are done.", a.stuck},
		{"GET /crash", crashLinks(), "Kills the whole worker, and whatever else it was answering. Another takes its place at once.", a.crash},
		{"GET /stream", []string{"/stream?n=10&every=500ms"}, "Lines, one at a time. Try it with curl -N during a reload.", a.stream},
		{"GET /environment", []string{"/environment"}, "What the worker was given: ids, folder, arguments, the names of its variables.", a.environment},
		{"GET /headers", []string{"/headers"}, "Your request, as it arrived.", a.headers},
		{"POST /echo", []string{"/echo"}, "Returns the body you post, up to 1 MiB.", a.echo},
		{"GET /healthz", []string{"/healthz"}, "“ok”.", a.healthz},
	}
}

// New returns the demonstration app of one worker.
func New(info Info) http.Handler {
	if info.Version == "" {
		info.Version = "development"
	}
	a := app{info}
	mux := http.NewServeMux()
	for _, r := range a.routes() {
		mux.HandleFunc(r.Pattern, r.handler)
	}
	mux.HandleFunc("GET /{$}", a.welcome)
	return guarded(mux)
}

// guarded makes every answer plain text unless its handler says otherwise, never
// guessed at and never kept: each is about one worker at one moment.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (a app) hello(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "hello from %s\n", a.whoami())
}

func (a app) whoami() string {
	return fmt.Sprintf("worker %d, pid %d", a.WorkerID, os.Getpid())
}

func (a app) healthz(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}
