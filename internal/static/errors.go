package static

import (
	"errors"
	"net/http"
	"syscall"
)

// errNotServed is about names that may well exist; the client is told 404.
var errNotServed = errors.New("not served")

// refuse answers for a file that could not be opened.
func refuse(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	reply(w, status)
}

// statusOf translates what the system said. What is not an errno is 404: our
// errNotServed, and os.Root's refusal to leave the folder. EACCES is 403, as in
// nginx: who forgot a chmod learns of it, and a name alone is no secret here.
func statusOf(err error) int {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return http.StatusNotFound
	}
	switch errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG,
		syscall.EINVAL, syscall.ENXIO, syscall.ENODEV: // ENXIO, ENODEV: a socket, a device without driver
		return http.StatusNotFound
	case syscall.EACCES, syscall.EPERM:
		return http.StatusForbidden
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN: // EAGAIN: a lease is being broken
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
