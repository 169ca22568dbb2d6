package demo

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"os"
	"regexp"
)

//go:embed welcome.html
var welcomeHTML string

var welcomePage = template.Must(template.New("welcome").Parse(welcomeHTML))

// page is what the template is filled with.
type page struct {
	Info
	PID    int
	Master int // 0 when there is none
	Host   string
	Routes []route
}

// The page allows its own style and nothing else, so it stays self-contained.
const pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (a app) welcome(w http.ResponseWriter, r *http.Request) {
	var filled bytes.Buffer
	if err := welcomePage.Execute(&filled, a.page(r)); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	_, _ = filled.WriteTo(w) // a client that has gone needs no answer
}

func (a app) page(r *http.Request) page {
	p := page{Info: a.Info, PID: os.Getpid(), Host: "127.0.0.1:8080", Routes: a.routes()}
	if a.WorkerID > 0 {
		p.Master = os.Getppid()
	}
	if plainHost.MatchString(r.Host) {
		p.Host = r.Host
	}
	return p
}

// plainHost is a host that can stand in a command line as it is.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?$`)
