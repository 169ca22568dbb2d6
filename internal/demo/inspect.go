package demo

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
)

const mostEchoed = 1 << 20

// harmless are the variables whose values may be shown. All others may hold
// secrets (DATABASE_URL, AWS_…), so only their names are.
var harmless = []string{
	"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK",
	"HOME", "LANG", "LC_ALL", "PATH", "PWD", "SHELL", "TZ", "USER",
}

func (a app) environment(w http.ResponseWriter, _ *http.Request) {
	groups, _ := os.Getgroups() // without an answer there are none to show
	folder, err := os.Getwd()
	if err != nil {
		folder = "(removed)"
	}
	fmt.Fprintf(w, "pid            %d, parent %d\n", os.Getpid(), os.Getppid())
	fmt.Fprintf(w, "slot           %d\n", a.WorkerID)
	fmt.Fprintf(w, "generation     %d\n", a.Generation)
	fmt.Fprintf(w, "version        %s, %s\n", a.Version, runtime.Version())
	fmt.Fprintf(w, "user           uid %d, euid %d, gid %d, egid %d, groups %v\n",
		os.Getuid(), os.Geteuid(), os.Getgid(), os.Getegid(), groups)
	fmt.Fprintf(w, "folder         %s\n", folder)
	fmt.Fprintf(w, "arguments      %q\n", os.Args)
	fmt.Fprintf(w, "processors     GOMAXPROCS %d of %d\n", runtime.GOMAXPROCS(0), runtime.NumCPU())
	fmt.Fprintf(w, "goroutines     %d\n", runtime.NumGoroutine())
	fmt.Fprintf(w, "\nvariables (values only where they cannot be secret)\n%s", variables(os.Environ()))
}

func variables(environ []string) string {
	slices.Sort(environ)
	var text strings.Builder
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if slices.Contains(harmless, name) {
			fmt.Fprintf(&text, "  %s = %q\n", name, value)
		} else {
			fmt.Fprintf(&text, "  %s\n", name)
		}
	}
	return text.String()
}

func (a app) headers(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
	_ = r.Header.Write(w) // sorted; it fails only if the client has gone
}

// echo answers as bytes, not as the type that was posted: nobody's page shall
// make this origin serve a script.
func (a app) echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostEchoed))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		http.Error(w, fmt.Sprintf("body larger than %d bytes", mostEchoed), http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the body did not arrive whole", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(body) // a client that has gone needs no answer
}
