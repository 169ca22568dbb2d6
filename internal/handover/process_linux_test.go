package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// With "play ROLE" as its arguments the test binary is a master, the next image of
// it, or a program on trial. The arguments stay what they are from image to image.
var roles = map[string]func(args []string){
	"good":     beGood,
	"faulty":   func([]string) { Answer(errors.New("no such user: www")) },
	"wordy":    func([]string) { Answer(errors.New(strings.Repeat("\x01ü", 1<<20))) },
	"crashing": beCrashing,
	"late":     beLate,
	"leaving":  beLeaving,
	"hoarding": beHoarding,
	"looking":  beLooking,
	"round":    beRound,
	"slow":     beSlow,
	"quick":    beQuick,
	"newer":    beNewer,
	"refused":  beRefused,
	"signals":  beSignals,
}

// shortSteps is what the watchdog has in the roles that wait for it. A variable is
// set before init runs.
const shortSteps = 200 * time.Millisecond

var _ = func() bool {
	if role := playing(); role == "slow" || role == "quick" {
		firstSteps = shortSteps
	}
	return true
}()

func playing() string {
	if len(os.Args) < 3 || os.Args[1] != "play" {
		return ""
	}
	return os.Args[2]
}

func TestMain(m *testing.M) {
	role := playing()
	if role == "" {
		os.Exit(m.Run())
	}
	roles[role](os.Args[3:])
}

// play are the arguments for a role.
func play(role string, args ...string) []string {
	return append([]string{"fugue-image", "play", role}, args...)
}

// start prepares a role; its environment is env and what this process has.
func start(role string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = play(role)
	cmd.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0"), env...)
	return cmd
}

// startLimited prepares a role that may have few files open, unless it asks for
// more, as a Go program does.
func startLimited(limit int, role string, args ...string) *exec.Cmd {
	script := fmt.Sprintf(`ulimit -Sn %d; exec "$0" "$@"`, limit)
	cmd := exec.Command("sh", append([]string{"-c", script, fmt.Sprintf("/proc/%d/exe", os.Getpid()), "play", role}, args...)...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustPlay(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// beGood tells in its version what it was given.
func beGood([]string) {
	n := Pending()
	SetVersion("2.0 of " + string(n.State) + " after " + n.Version)
	if left := os.Getenv(Env); left != "" || !Trial() {
		Answer(errors.New("it finds " + left))
	}
	Answer(nil)
}

func beCrashing([]string) {
	fmt.Println("panic: no flag -x")
	fmt.Fprintln(os.Stderr, "usage: …")
	os.Exit(1)
}

// beLate never ends; nor does what it has started, which holds the FIFO args[0].
func beLate(args []string) {
	fifo, err := os.OpenFile(args[0], os.O_WRONLY, 0)
	mustPlay(err)
	sleeper := exec.Command("sleep", "60")
	sleeper.Stdout = fifo
	mustPlay(sleeper.Start())
	fmt.Println("sleeps")
	forever()
}

// beLeaving goes over to the process group of the test and never ends.
func beLeaving([]string) {
	group, err := unix.Getpgid(os.Getppid())
	mustPlay(err)
	mustPlay(unix.Setpgid(0, group))
	fmt.Println("left")
	forever()
}

// forever is an idle program, not one that the runtime takes for deadlocked.
func forever() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	select {}
}

// beHoarding leaves somebody behind who holds all that it was given open, and names
// him; with "answer" it answers well, otherwise not at all.
func beHoarding(args []string) {
	sleeper := exec.Command("sleep", "60")
	sleeper.Stdout, sleeper.Stderr = os.Stdout, os.Stderr
	sleeper.ExtraFiles = []*os.File{os.NewFile(3, "note"), os.NewFile(4, "reply")}
	sleeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	mustPlay(sleeper.Start())
	fmt.Println("sleeper", sleeper.Process.Pid)
	SetVersion("sleeper " + strconv.Itoa(sleeper.Process.Pid))
	if args[0] == "answer" {
		Answer(nil)
	}
}

// beLooking says whether it has found a Note, and whether its variable is left.
func beLooking([]string) {
	_, left := os.LookupEnv(Env)
	fmt.Print(Pending() != nil, left)
}

// facts are what an image finds around it.
type facts struct {
	PID       int
	Comm      string
	Failed    string
	Dir       string
	Word      string // read from a descriptor that was handed over
	Inherited []int  // of those handed over, which are not close-on-exec
	Leftover  bool   // of the environment
	Open      int    // how many descriptors there are
	Limit     string // of open files, for what it starts
	Rounds    int
	Waits     bool // the Note
}

func find(n *Note) (f facts) {
	f.PID, f.Failed, f.Open, f.Waits = os.Getpid(), n.Failed, openFiles(), Pending() != nil
	comm, _ := os.ReadFile("/proc/self/comm")
	f.Comm = strings.TrimSpace(string(comm))
	f.Dir, _ = Dir()
	buf := make([]byte, 8)
	size, _ := unix.Pread(n.FDs[0], buf, 0)
	f.Word = string(buf[:size])
	for _, fd := range n.all() {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			f.Inherited = append(f.Inherited, fd)
		}
	}
	_, f.Leftover = os.LookupEnv(Env)
	limit, _ := exec.Command("sh", "-c", "ulimit -Sn").Output()
	f.Limit = strings.TrimSpace(string(limit))
	return f
}

func openFiles() (n int) {
	for fd := range 100 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}

func (f facts) tell() { _ = json.NewEncoder(os.Stdout).Encode(f) }

// firstNote is what the first image leaves: a file with a word in it.
func firstNote() Note {
	image, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	mustPlay(err)
	word, err := memory()
	mustPlay(err)
	_, err = unix.Write(word, []byte("word"))
	mustPlay(err)
	return Note{Format: Format, Version: "1.0", PID: os.Getpid(), Image: image, FDs: []int{word}, Dir: "/first", State: json.RawMessage(`0`)}
}

// reloads are all that must not end a master at any moment.
func reloads() []os.Signal { return slices.Concat(held, ignored) }

const allRounds = 3

// beRound executes the next image, which goes back, some times over. All tell what
// they find.
func beRound([]string) {
	n := Pending()
	switch {
	case n == nil:
		signal.Notify(make(chan os.Signal, 1), reloads()...) // as a master does when it starts
		first := firstNote()
		find(&first).tell()
		mustPlay(Exec(Named("/proc/self/exe"), first))
	case n.Failed == "":
		find(n).tell()
		Back(errors.New("nothing fits"))
		mustPlay(errors.New("it has not gone back"))
	}
	round, err := strconv.Atoi(string(n.State))
	mustPlay(err)
	f := find(n)
	f.Rounds = round + 1
	mustPlay(Taken())
	f.Waits = Pending() != nil
	f.tell()
	if f.Rounds == allRounds {
		return
	}
	next := *n
	next.Failed, next.State = "", json.RawMessage(strconv.Itoa(f.Rounds))
	mustPlay(Exec(Named("/proc/self/exe"), next))
}

// beSlow is an image that does not take over until its watchdog has had enough.
func beSlow([]string) {
	switch n := Pending(); {
	case n == nil:
		mustPlay(Exec(Named("/proc/self/exe"), firstNote()))
	case n.Failed == "":
		forever()
	default:
		find(n).tell()
	}
}

// beQuick takes over in time: the watchdog is silent from then on, and there is no
// way back.
func beQuick([]string) {
	n := Pending()
	if n == nil {
		mustPlay(Exec(Named("/proc/self/exe"), firstNote()))
	}
	mustPlay(Taken())
	if watchdog.Stop() {
		mustPlay(errors.New("the watchdog still runs"))
	}
	Back(errors.New("too late"))
	find(n).tell()
}

// beNewer executes an image that cannot read the Note. It goes back all the same, as
// it thinks: to /bin/echo.
func beNewer([]string) {
	n := firstNote()
	image, err := unix.Open("/bin/echo", unix.O_PATH|unix.O_CLOEXEC, 0)
	mustPlay(err)
	n.Format, n.Image = Format+1, image
	mustPlay(Exec(Named("/proc/self/exe"), n))
}

// beSignals has signals come at every moment of an exec: one that was caught and not
// obeyed, some when nobody catches any more, one between the next image's first moment
// and its main. That image goes back, and the old one tells which have reached it. The
// first image begins with the signals blocked in all its threads, as they are
// when an exec has left but one.
func beSignals([]string) {
	n := Pending()
	switch {
	case n == nil && os.Getenv("BLOCKED") == "":
		runtime.LockOSThread()
		hold()
		mustPlay(syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), "BLOCKED=yes")))
	case n == nil:
		first := firstNote()
		first.Last = func() ([]os.Signal, error) {
			for _, s := range held {
				mustPlay(unix.Kill(os.Getpid(), s.(syscall.Signal)))
			}
			return append(heeded, syscall.SIGTERM), nil
		}
		mustPlay(Exec(Named("/proc/self/exe"), first))
	}
	stops, others := Signals()
	if n.Failed == "" {
		if len(stops) != 1 {
			mustPlay(fmt.Errorf("%d stops have come to the next image", len(stops)))
		}
		mustPlay(unix.Kill(os.Getpid(), unix.SIGINT))
		for len(stops) < 2 || len(others) < len(heeded)+len(held) {
			runtime.Gosched()
		}
		Back(errors.New("nothing fits"))
	}
	var all []os.Signal
	for len(all) < 2+len(heeded)+len(held) {
		select {
		case s := <-stops:
			all = append(all, s)
		case s := <-others:
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b os.Signal) int { return int(a.(syscall.Signal) - b.(syscall.Signal)) })
	fmt.Print(formatSignals(all), os.Getenv(EnvSignals))
}

// refusal is what came of an exec that failed, and what is not as it was before.
type refusal struct{ Err, Changed string }

// beRefused tries to execute what cannot be, a Note that names a descriptor that is
// not open, and one that is held up at the last moment.
func beRefused(paths []string) {
	signal.Notify(make(chan os.Signal, 1), reloads()...)
	n := firstNote()
	find(&n) // the runtime opens some files of its own
	var all []refusal
	try := func(path string, with Note) {
		before, limits := find(&n), limitsAndSignals()
		r := refusal{Err: Exec(Named(path), with).Error()}
		if after := find(&n); after.Open != before.Open || after.Inherited != nil || limitsAndSignals() != limits {
			r.Changed = fmt.Sprintf("%+v, %s is now %+v, %s", before, limits, after, limitsAndSignals())
		}
		all = append(all, r)
	}
	for _, path := range paths {
		try(path, n)
	}
	bad, last := n, n
	bad.FDs = append(bad.FDs, 99)
	try("/proc/self/exe", bad)
	last.Last = func() ([]os.Signal, error) { return nil, errors.New("a stop was asked for") }
	try("/proc/self/exe", last)
	_ = json.NewEncoder(os.Stdout).Encode(all)
}

// limitsAndSignals are the limit of open files and which signals are ignored or
// caught.
func limitsAndSignals() string {
	var l unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
	status, _ := os.ReadFile("/proc/self/status")
	return fmt.Sprint(l.Cur, regexp.MustCompile(`Sig(Ign|Cgt):\s*\w+`).FindAllString(string(status), -1))
}
