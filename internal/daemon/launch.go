package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Env tells the daemon which descriptor its word is expected on.
const Env = "FUGUE_DAEMON_FD"

// The words: okWord, or sorryWord and the reason. No word is the worst.
const (
	okWord    = "ok\n"
	sorryWord = "sorry "
)

// maxWord bounds a reason.
const maxWord = 64 << 10

// firstInherited is that of sd_listen_fds(3).
const firstInherited = 3

// Launch runs this program again, with the same arguments, as a daemon. It
// returns nil once the daemon has said Ok, otherwise the reason why there is
// none. Signals that would end the launcher end the daemon, too.
func Launch() error {
	signals := make(chan os.Signal, 4)
	catch(signals)
	defer signal.Stop(signals)
	word, pid, err := spawn()
	if err != nil {
		return fmt.Errorf("daemonize: %w", err)
	}
	defer word.Close()
	return wait(pid, word, signals)
}

// catch leaves alone what is ignored, HUP under nohup for one.
func catch(signals chan<- os.Signal) {
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
}

// spawn starts the daemon and returns the end of the pipe that its word comes
// out of.
func spawn() (*os.File, int, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	defer null.Close()
	word, say, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	defer say.Close()
	hideDescriptors()
	pid, err := fork(null.Fd(), say.Fd())
	if err != nil {
		return nil, 0, errors.Join(err, word.Close())
	}
	return word, pid, nil
}

// fork runs the binary again: /dev/null on 0 to 2, then the sockets of systemd
// at their own numbers, then the pipe. Nothing else gets through.
func fork(null, say uintptr) (int, error) {
	files := []uintptr{null, null, null}
	for i := range inherited() {
		files = append(files, uintptr(firstInherited+i))
	}
	env := append(os.Environ(), Env+"="+strconv.Itoa(len(files)))
	return syscall.ForkExec(self(), os.Args, &syscall.ProcAttr{
		Env:   env,
		Files: append(files, say),
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// inherited is how many sockets were handed over to this very process. Whether
// they are what they should be is for package sockets to say; a number that
// cannot be true is none.
func inherited() int {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return 0
	}
	for i := range n {
		if _, err := unix.FcntlInt(uintptr(firstInherited+i), unix.F_GETFD, 0); err != nil {
			return i
		}
	}
	return n
}

// wait returns nil when the daemon has said that all is well. One that failed is
// waited for, so that what it held is free when the launcher returns.
func wait(pid int, word io.Reader, signals <-chan os.Signal) error {
	words, ends := make(chan string, 1), make(chan string, 1)
	go func() { words <- hear(word) }() // ends with the daemon, or its word
	said, stopped := "", false
	for {
		select {
		case <-signals:
			stopped = true
			_ = syscall.Kill(pid, syscall.SIGTERM) // a second one makes it quick
		case said = <-words:
			if said == okWord && !stopped {
				return nil
			}
			go func() { ends <- reap(pid) }() // ends with the daemon
		case end := <-ends:
			return verdict(said, end, stopped)
		}
	}
}

func hear(word io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(word, maxWord))
	return string(text)
}

// reap waits for the daemon and says how it ended. Nobody learns that where
// SIGCHLD is ignored.
func reap(pid int) string {
	for {
		var end syscall.WaitStatus
		_, err := syscall.Wait4(pid, &end, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return "nobody knows how"
		default:
			return how(end)
		}
	}
}

func verdict(said, end string, stopped bool) error {
	reason, failed := strings.CutPrefix(said, sorryWord)
	switch {
	case stopped:
		return errors.New("interrupted while starting: stopped again")
	case failed:
		return errors.New(strings.TrimSpace(reason))
	}
	return fmt.Errorf("the master died while starting (%s)", end)
}

func how(end syscall.WaitStatus) string {
	if end.Signaled() {
		return fmt.Sprintf("signal %d, %s", end.Signal(), end.Signal())
	}
	return fmt.Sprintf("exit status %d", end.ExitStatus())
}
