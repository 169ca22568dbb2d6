package static

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func newExchange(target string) (*httptest.ResponseRecorder, *http.Request) {
	return httptest.NewRecorder(), httptest.NewRequest("GET", target, nil)
}

func TestStatusOf(t *testing.T) {
	t.Parallel()
	for errno, want := range map[error]int{
		syscall.ENOENT: 404, syscall.ENOTDIR: 404, syscall.ELOOP: 404, syscall.ENAMETOOLONG: 404, syscall.ENXIO: 404,
		syscall.EACCES: 403, syscall.EPERM: 403,
		syscall.EMFILE: 503, syscall.ENFILE: 503, syscall.ENOMEM: 503,
		syscall.EIO: 500, syscall.ESTALE: 500,
		errNotServed: 404, errors.New("path escapes from parent"): 404,
	} {
		if got := statusOf(&fs.PathError{Op: "openat", Path: "x", Err: errno}); got != want {
			t.Errorf("%v: %d, want %d", errno, got, want)
		}
	}
}

// The name may come to stand for something else between target and open: a FIFO
// without a writer would block an ordinary open for ever.
func TestOpenTakesRegularFilesOnly(t *testing.T) {
	t.Parallel()
	h := handlerFor(t, site(t)).(*handler)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, name := range []string{"fifo", "socket", "docs", "null", "outside.txt"} {
			if f, _, err := h.open(name); err == nil {
				t.Errorf("open %s succeeded: %v", name, f.Name())
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("open blocks")
	}
}

func TestForbiddenFilesAre403(t *testing.T) {
	t.Parallel()
	root := site(t)
	must(t, os.Chmod(filepath.Join(root, "poem.txt"), 0))
	must(t, os.Chmod(filepath.Join(root, "deep"), 0))
	h := handlerFor(t, root)
	if os.Getuid() == 0 {
		defer asNobody(t)()
	}
	for _, target := range []string{"/poem.txt", "/deep/er/page.html"} {
		if got := get(h, target); got.Code != 403 || got.Body.String() != "403 Forbidden\n" {
			t.Errorf("%s: %d %q", target, got.Code, got.Body)
		}
	}
	must(t, fsuid(os.Getuid()))
	must(t, os.Chmod(filepath.Join(root, "deep"), 0o755)) // so that it can be removed
}

// asNobody takes root's power over files from this thread alone, until the
// function it returns is called.
func asNobody(t *testing.T) (restore func()) {
	runtime.LockOSThread()
	must(t, fsuid(65534))
	return func() {
		must(t, fsuid(0))
		runtime.UnlockOSThread()
	}
}

func fsuid(uid int) error {
	_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, uintptr(uid), 0, 0) // it returns the previous id, never an error
	if now, _, _ := syscall.RawSyscall(syscall.SYS_SETFSUID, ^uintptr(0), 0, 0); int(now) != uid {
		return errors.New("setfsuid did not work")
	}
	return nil
}

// The limit is that of the whole process, so the test binary plays the worker.
func TestNoDescriptorsLeftIs503(t *testing.T) {
	t.Parallel()
	helper := exec.Command(os.Args[0], "-test.run=^TestHelperNoDescriptorsLeft$")
	helper.Env = append(os.Environ(), "STATIC_TEST_ROOT="+site(t))
	if out, err := helper.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestHelperNoDescriptorsLeft(t *testing.T) {
	root := os.Getenv("STATIC_TEST_ROOT")
	if root == "" {
		t.Skip("runs in a process of its own, see TestNoDescriptorsLeftIs503")
	}
	h := handlerFor(t, root)
	var usual syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &usual))
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: usual.Max}))
	got := get(h, "/poem.txt")
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &usual)) // go test -cover writes files at exit
	if got.Code != 503 || got.Header().Get("Retry-After") != "1" || got.Body.String() != "503 Service Unavailable\n" {
		t.Errorf("%d %v %q", got.Code, got.Header(), got.Body)
	}
}
