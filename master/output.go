package master

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/control"
)

// output is where lines go: the master's own through a goroutine, the workers'
// straight into descriptors that the master opens and hands to them. Foreign
// apps cannot be handed a new descriptor later; theirs go through a pipe to the
// log process. Owned by the loop.
type output struct {
	set    logSettings
	log    *slog.Logger
	writer *lineWriter

	first          [2]int // copies of what the master was started with as 1 and 2
	stdout, stderr int    // those of them that workers get without a log_file
	file           int    // log_file, -1 without one
	start          int64  // size of log_file at the start: what is behind it is ours
	fifo           bool   // log_file is a FIFO: workers never write into it themselves
	piped          bool   // new workers write into the log process's pipe
	logger         *logger
}

// logSettings say where lines go.
type logSettings struct {
	Workers string `json:"workers,omitempty"` // log_file
	Master  string `json:"master,omitempty"`  // master_log_file
	Format  string `json:"format"`
	Verbose bool   `json:"verbose,omitempty"`
	Hidden  bool   `json:"hidden,omitempty"`  // nobody sees what the master was started with
	Foreign bool   `json:"foreign,omitempty"` // the app cannot be handed descriptors
}

// openOutput opens the log files. From here on the process's descriptors 1 and 2
// are the master's log, for the Go runtime's own last words as well.
func openOutput(set logSettings) (_ *output, err error) {
	o := &output{set: set, file: -1, first: [2]int{-1, -1}}
	if o.first[0], err = unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3); err != nil {
		return nil, fatal("stdout", err)
	}
	if o.first[1], err = unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3); err != nil {
		return nil, fatal("stderr", err)
	}
	o.stdout, o.stderr = o.first[0], o.first[1]
	if err := o.openMaster(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = o.become(o.first[0], o.first[1]) // for main to say so where it was started
		}
	}()
	o.writer = newLineWriter(os.Stderr)
	o.log = newLogger(set, o.writer)
	if err := o.openWorkers(); err != nil {
		return nil, err
	}
	o.piped = o.needsPipe()
	return o, nil
}

// needsPipe says that the workers' lines have to go through the log process:
// nobody would ever see otherwise why the app of a daemon does not start.
func (o *output) needsPipe() bool {
	return o.fifo || o.set.Foreign && o.file >= 0 || o.set.Hidden && o.file < 0
}

func (o *output) openMaster() error {
	path := o.set.Master
	if path == "" {
		return nil
	}
	fd := standardLog(path, o.first[0], o.first[1])
	if fd < 0 {
		var err error
		if fd, _, err = openLog(path); err != nil {
			return err
		}
		defer unix.Close(fd)
	}
	return o.become(fd, fd)
}

// become puts the master's log on descriptors 1 and 2.
func (o *output) become(stdout, stderr int) error {
	for std, fd := range map[int]int{1: stdout, 2: stderr} {
		if err := dupOver(fd, std); err != nil {
			return fatal("redirect the master's log", err)
		}
	}
	return nil
}

func (o *output) openWorkers() error {
	path := o.set.Workers
	if path == "" {
		return nil
	}
	if std := standardLog(path, o.first[0], o.first[1]); std >= 0 {
		o.stdout, o.stderr = std, std
		return nil
	}
	fd, fifo, err := openLog(path)
	if err != nil {
		return err
	}
	o.fifo = fifo
	o.keep(fd)
	if end, err := unix.Seek(fd, 0, unix.SEEK_END); err == nil {
		o.start = end
	}
	return nil
}

func (o *output) keep(fd int) {
	if o.file >= 0 {
		_ = unix.Close(o.file)
	}
	o.file = fd
}

// inForeground says that the process was started in a terminal and is in its
// foreground.
func (o *output) inForeground() bool {
	for _, fd := range []int{0, o.first[0], o.first[1]} {
		if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err == nil && group == unix.Getpgrp() {
			return true
		}
	}
	return false
}

// workerFDs are the descriptors a worker that can be handed descriptors writes
// to: the file, or what the master was started with.
func (o *output) workerFDs() (stdout, stderr int) {
	if o.file >= 0 {
		return o.file, o.file
	}
	return o.stdout, o.stderr
}

// spawnFDs are what a new worker gets as 1 and 2.
func (o *output) spawnFDs() (stdout, stderr int) {
	if o.piped && o.logger != nil {
		return o.logger.in, o.logger.in
	}
	return o.workerFDs()
}

// reopen opens both files anew. What cannot be opened keeps its old file: lines
// in the wrong file are better than none.
func (o *output) reopen() error {
	var faults []string
	if err := o.openMaster(); err != nil {
		faults = append(faults, err.Error())
	}
	if o.file >= 0 {
		if fd, _, err := openLog(o.set.Workers); err != nil {
			faults = append(faults, err.Error())
		} else {
			o.keep(fd)
		}
	}
	if o.logger != nil {
		o.logger.handOver(o)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s", strings.Join(faults, "; "))
	}
	return nil
}

const (
	tailBytes = 4 << 10
	tailLines = 8
)

// tail is the end of what the workers wrote since the start, for the message
// that they could not be started; "" when it went elsewhere than to a file.
func (o *output) tail() string {
	if o.logger != nil {
		o.logger.finish(o)
	}
	fd := o.file
	if fd < 0 && o.logger != nil {
		fd = o.logger.out
	}
	if fd < 0 || o.fifo {
		return ""
	}
	path := fmt.Sprintf("/proc/self/fd/%d", fd) // ours is for writing only
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	return lastLines(f, o.start)
}

// size is where the workers' log ends now, if it is a file.
func (o *output) size() int64 {
	var st unix.Stat_t
	if o.file < 0 || unix.Fstat(o.file, &st) != nil {
		return 0
	}
	return st.Size
}

// since is the end of what the workers have written behind from, "" if that went
// elsewhere than to a file.
func (o *output) since(from int64) string {
	if o.file < 0 || o.fifo {
		return ""
	}
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", o.file))
	if err != nil {
		return ""
	}
	defer f.Close()
	return lastLines(f, from)
}

func lastLines(f *os.File, from int64) string {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	buf := make([]byte, tailBytes)
	n, _ := f.ReadAt(buf, max(from, info.Size()-tailBytes))
	lines := strings.Split(strings.TrimSpace(string(buf[:n])), "\n")
	for i := range lines {
		lines[i] = control.Printable(lines[i])
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], " | ")
}

// close writes out what waits and gives descriptor 2 back, so that the program's
// last line reaches whoever started it.
func (o *output) close() {
	if o.logger != nil {
		o.logger.finish(o)
	}
	if o.writer != nil {
		o.writer.close()
	}
	if o.first[1] >= 0 {
		_ = dupOver(o.first[1], 2)
	}
}

func (o *output) reap() {
	if o.logger != nil {
		o.logger.reap(o)
	}
}

// due says when the log process has to be started again.
func (o *output) due() (time.Time, bool) {
	if o.logger == nil {
		return time.Time{}, false
	}
	return o.logger.respawnDue()
}

func (o *output) tick() {
	if at, wanted := o.due(); wanted && !time.Now().Before(at) {
		o.logger.respawn(o)
	}
}

func (o *output) isLogger(pid int) bool { return o.logger != nil && o.logger.pid == pid }
