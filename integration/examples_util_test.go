package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// examplesDir has a module of its own: what it needs is not for the product.
const examplesDir = "../examples/servers"

// examples are the programs of that module, built when a test wants one. missing
// says why its modules cannot be had on this machine.
var examples = sync.OnceValue(func() (built struct {
	dir     string
	missing string
	err     error
}) {
	built.dir = filepath.Join(programs.dir, "examples")
	if out, err := inExamples("mod", "download"); err != nil {
		built.missing = fmt.Sprintf("go mod download in %s: %v\n%s", examplesDir, err, out)
		return built
	}
	args := []string{"build", "-o", built.dir + "/"}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := inExamples(append(args, "./chi", "./fasthttp", "./sse", "./websocket", "./grpc/server", "./grpc/client")...); err != nil {
		built.err = fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return built
})

func inExamples(args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = examplesDir
	return cmd.CombinedOutput()
}

// example is the path of one of these programs.
func example(t testing.TB, name string) string {
	t.Helper()
	built := examples()
	switch {
	case built.missing != "":
		t.Skip("the modules of the examples cannot be fetched: " + built.missing)
	case built.err != nil:
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

// startExample runs one with the lines top before the table [app].
func startExample(t testing.TB, name, top string) *server {
	t.Helper()
	return start(t, top+fmt.Sprintf("[app]\ncommand = [%q]\nready = \"pipe\"\n", example(t, name)))
}

// reload returns when all workers have been replaced.
func (s *server) reload() {
	s.t.Helper()
	s.verb(0, "reload", "--wait")
}

// onlyReloaded checks that nobody left for another reason.
func (s *server) onlyReloaded() {
	s.t.Helper()
	for why, n := range s.status().Counters.Exits {
		if why != "reload" && n > 0 {
			s.t.Errorf("%d workers have left because of %s", n, why)
		}
	}
	if list := s.incidents(); len(list) > 0 {
		s.t.Errorf("%d incidents, the newest %+v", len(list), list[0])
	}
}

// callers is the gRPC client, which makes calls until it is told to end.
type callers struct {
	*server
	cmd   *exec.Cmd
	input io.Closer
	says  *lineLog
	out   bytes.Buffer
	done  chan struct{}
}

// callReport is what the client writes, see examples/servers/grpc/client.
type callReport struct {
	Calls   int64            `json:"calls"`
	OK      int64            `json:"ok"`
	Errors  map[string]int64 `json:"errors"`
	Streams map[string]int   `json:"streams"`
	Ticks   int64            `json:"ticks"`
	Stuck   *struct {
		Code  string `json:"code"`
		Took  int64  `json:"took_ms"`
		After int64  `json:"calls_after"`
	} `json:"stuck"`
}

func (s *server) call(args ...string) *callers {
	s.t.Helper()
	c := &callers{server: s, says: newLineLog(), done: make(chan struct{}),
		cmd: exec.Command(example(s.t, "client"), append([]string{"-hold", "-address", s.address}, args...)...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, c.says
	var err error
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { _ = c.cmd.Wait(); close(c.done) }() // what it has to say is in the report
	s.t.Cleanup(func() { _ = c.cmd.Process.Kill(); <-c.done })
	return c
}

// thousands waits until n thousand calls are made.
func (c *callers) thousands(n int) {
	c.t.Helper()
	c.says.wait(c.t, strconv.Itoa(n*1000)+" calls", c.done)
}

// moreThousands waits until n thousand more are made.
func (c *callers) moreThousands(n int) {
	c.t.Helper()
	c.says.waitN(c.t, "000 calls", c.says.count("000 calls")+n, c.done)
}

// end returns when the calls under way have been answered.
func (c *callers) end() (got callReport) {
	c.t.Helper()
	c.input.Close()
	<-c.done
	if err := json.Unmarshal(c.out.Bytes(), &got); err != nil {
		c.t.Fatalf("the client's report: %v\n%s%s", err, &c.out, c.says)
	}
	c.t.Logf("%s", bytes.TrimSpace(c.out.Bytes()))
	return got
}

// endWhole is end where no call may have been lost.
func (c *callers) endWhole() callReport {
	c.t.Helper()
	got := c.end()
	if len(got.Errors) > 0 || got.OK != got.Calls {
		c.t.Errorf("%d of %d calls were answered; errors %v", got.OK, got.Calls, got.Errors)
	}
	return got
}

// loadFull says whether somebody has minutes for it.
func loadFull() bool { return *fullLoad || os.Getenv("FUGUE_LOAD") == "full" }
