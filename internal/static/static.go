package static

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"syscall"
)

const index = "index.html"

// handler is used by many goroutines at once: it never changes, and an os.Root
// is safe for that.
type handler struct{ root *os.Root }

// New returns a handler that serves the files beneath root, which must be a
// folder. The folder stays open for as long as the handler is in use.
func New(root string) (http.Handler, error) {
	opened, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("app.root: %w", err)
	}
	return &handler{root: opened}, nil
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		reply(w, http.StatusMethodNotAllowed)
		return
	}
	if err := h.serve(w, r); err != nil {
		refuse(w, err)
	}
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	name, slash, err := locate(r.URL)
	if err != nil {
		return err
	}
	file, folder, err := h.target(name)
	if err != nil {
		return err
	}
	switch {
	case folder && !slash:
		redirect(w, name, r.URL.RawQuery)
		return nil
	case slash && !folder:
		return errNotServed
	}
	return h.send(w, r, file)
}

// target says which file answers for name. It only looks: merely opening a
// device can have effects, and opening a FIFO wakes who waits to write into it.
func (h *handler) target(name string) (file string, folder bool, err error) {
	info, err := h.root.Stat(name)
	if err == nil && info.IsDir() {
		name, folder = path.Join(name, index), true
		info, err = h.root.Stat(name)
	}
	if err != nil {
		return "", false, err
	}
	if !info.Mode().IsRegular() {
		return "", false, errNotServed
	}
	return name, folder, nil
}

// open opens a regular file. It looks again after opening, since the name may
// have changed hands since target; O_NONBLOCK so that even then a FIFO cannot
// hold it up, O_NOCTTY so that a terminal does not become ours.
func (h *handler) open(name string) (*os.File, os.FileInfo, error) {
	f, err := h.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotServed
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// redirect sends the client from /name to /name/. The target is relative, and
// starts with "./", so that whatever the name contains ("http:", "//host") it
// can lead only to a sibling of the path that was asked for.
func redirect(w http.ResponseWriter, name, query string) {
	to := "./" + url.PathEscape(path.Base(name)) + "/"
	if query != "" {
		to += "?" + query
	}
	w.Header().Set("Location", to)
	reply(w, http.StatusMovedPermanently)
}

// reply answers with the status and its name, and nothing else.
func reply(w http.ResponseWriter, status int) {
	text := fmt.Sprintf("%d %s\n", status, http.StatusText(status))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text))) // for HEAD too
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // a client that has gone needs no answer
}
