package httpwatch

import (
	"log"
	"net/http"
	"path"
	"reflect"
	"runtime"
	"strings"
)

// misused logs, as the server of HTTP/1 does, what a handler should not do. The
// server would name this package as the caller. It returns false if the writer
// is another one, which may have its own idea.
func (r *request) misused(what string) bool {
	srv, _ := r.ctx.Context.Value(http.ServerContextKey).(*http.Server)
	if srv == nil || reflect.TypeOf(r.rw).String() != "*http.response" {
		return false
	}
	printf := log.Printf
	if srv.ErrorLog != nil {
		printf = srv.ErrorLog.Printf
	}
	f := caller()
	printf("http: %s from %s (%s:%d)", what, f.Function, path.Base(f.File), f.Line)
	return true
}

// caller is the first function outside of net/http and this package.
func caller() (f runtime.Frame) {
	pc := make([]uintptr, 16)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for more := true; more; {
		f, more = frames.Next()
		if !passesOn(f.Function) {
			return f
		}
	}
	return f
}

const thisPackage = "github.com/fugue-http/fugue/httpwatch."

// passesOn says whether a function stands between a handler and the server.
func passesOn(function string) bool {
	for _, prefix := range []string{"net/http.", thisPackage + "(*", thisPackage + "write[", "github.com/felixge/httpsnoop."} {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}
