package demo

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

const patience = 20 * time.Second

// What is stuck cannot be unstuck, and a crash takes the process: the test
// binary plays a worker, and TestMain is where it does so.
func TestMain(m *testing.M) {
	if os.Getenv("DEMO_TEST_HELPER") != "" {
		playWorker()
		return
	}
	os.Exit(m.Run())
}

// playWorker serves until the test closes its standard input, or harm is done.
func playWorker() {
	mux := http.NewServeMux()
	mux.Handle("/", New(someone))
	mux.HandleFunc("/stacks", func(w http.ResponseWriter, _ *http.Request) {
		all := make([]byte, 4<<20)
		_, _ = w.Write(all[:runtime.Stack(all, true)])
	})
	server := httptest.NewServer(mux)
	fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// worker is such a process.
type worker struct {
	*exec.Cmd
	url    string
	stderr bytes.Buffer
}

func startWorker(t *testing.T) *worker {
	t.Helper()
	w := &worker{Cmd: exec.Command(os.Args[0])}
	w.Env = append(os.Environ(), "DEMO_TEST_HELPER=1", "GOTRACEBACK=all")
	w.Stderr = &w.stderr
	stdin, err := w.StdinPipe()
	must(t, err)
	stdout, err := w.StdoutPipe()
	must(t, err)
	must(t, w.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = w.Process.Kill()
		_ = w.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	w.url = strings.TrimSpace(line)
	return w
}

func (w *worker) get(target string) (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(w.url + target)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

func TestStuck(t *testing.T) {
	t.Parallel()
	w := startWorker(t)
	named := map[string]string{
		"/stuck": "blockForEver", "/stuck?how=spin": "spinForEver", "/stuck?how=sleep": "sleepForEver",
		"/stuck?how=mutex": "lockForEver", "/stuck?how=read": "readForEver", "/stuck?how=recursion": "recurseForEver",
	}
	for _, link := range stuckLinks() {
		name, ok := named[link]
		if !ok {
			t.Errorf("%s is not tested", link)
		}
		go func() {
			if body, err := w.get(link); err == nil {
				t.Errorf("%s answered %q", link, body)
			}
		}()
		w.waitForStack(t, name)
	}
	if body, err := w.get("/healthz"); err != nil || body != "ok\n" {
		t.Errorf("a neighbour of six stuck requests got %q, %v", body, err)
	}
}

// waitForStack looks until a stack of the worker names the function.
func (w *worker) waitForStack(t *testing.T, function string) {
	t.Helper()
	var stacks string
	for began := time.Now(); time.Since(began) < patience; {
		var err error
		stacks, err = w.get("/stacks")
		must(t, err)
		if strings.Contains(stacks, "/internal/demo."+function+"(") {
			return
		}
	}
	t.Fatalf("no stack names %s:\n%s", function, stacks)
}

func TestCrash(t *testing.T) {
	t.Parallel()
	ends := map[string]struct {
		code  int
		tells string
	}{
		"/crash":           {2, "panic: demo: /crash was asked for"},
		"/crash?how=exit":  {exitOdd, ""},
		"/crash?how=abort": {2, "SIGABRT: abort"},
	}
	for _, link := range crashLinks() {
		t.Run(link, func(t *testing.T) {
			t.Parallel()
			want, ok := ends[link]
			if !ok {
				t.Fatal("not tested")
			}
			w := startWorker(t)
			if body, err := w.get(link); err == nil {
				t.Errorf("answered %q", body)
			}
			_ = w.Wait() // the code says it all
			if got := w.ProcessState.ExitCode(); got != want.code || !strings.Contains(w.stderr.String(), want.tells) {
				t.Errorf("exit code %d, want %d and %q in:\n%s", got, want.code, want.tells, &w.stderr)
			}
		})
	}
}
