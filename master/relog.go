package master

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/fugue-http/fugue/internal/stage"
)

// change applies other settings while everything runs. What cannot be opened
// keeps what there was, and is part of the error.
func (o *output) change(set logSettings, user *stage.User) error {
	old := o.set
	if set == old {
		return nil
	}
	o.set = set
	errs := []error{o.changeMaster(old), o.changeWorkers(old, user)}
	o.log = newLogger(o.set, o.writer)
	return errors.Join(errs...)
}

// check opens the files that set names and old does not, so that a reload learns of
// one that cannot be opened before it changes anything. It may wait for a disk.
func (set logSettings) check(old logSettings) error {
	return errors.Join(checkLog("log_file", set.Workers, old.Workers), checkLog("master_log_file", set.Master, old.Master))
}

func checkLog(key, path, old string) error {
	if path == old || path == "" || standardLog(path, 1, 2) >= 0 {
		return nil
	}
	fd, _, err := openLog(path)
	if err != nil {
		return fatal(key, err)
	}
	_ = unix.Close(fd)
	return nil
}

// outdates says that a worker which is started now and cannot be handed another
// descriptor later would not write to where next says.
func (o *output) outdates(next logSettings) bool {
	same := next.Workers == o.set.Workers && (next.Workers == "" || o.set.Foreign)
	return next.Foreign && !same && (!o.piped || next.Workers == "")
}

func (o *output) changeMaster(old logSettings) (err error) {
	switch o.set.Master {
	case old.Master:
	case "":
		err = o.become(o.first[0], o.first[1])
	default:
		err = o.openMaster()
	}
	if err != nil {
		o.set.Master = old.Master
	}
	return err
}

func (o *output) changeWorkers(old logSettings, user *stage.User) error {
	if o.set.Workers == old.Workers && o.set.Foreign == old.Foreign {
		return nil
	}
	if o.logger != nil && o.logger.ring && o.set.Workers != "" {
		o.set.Workers = old.Workers
		return fmt.Errorf("log_file: a daemon that was started without one takes it at its next start")
	}
	before := *o
	if o.set.Workers != old.Workers {
		o.file, o.fifo, o.stdout, o.stderr = -1, false, o.first[0], o.first[1]
		if err := o.openWorkers(); err != nil {
			*o = before
			o.set.Workers = old.Workers
			return err
		}
		if before.file >= 0 {
			_ = unix.Close(before.file)
		}
	}
	o.piped = o.needsPipe()
	if o.logger == nil {
		return o.startLogger(user)
	}
	if o.file >= 0 {
		o.logger.handOver(o)
	}
	return nil
}

// restart writes the master's log again after an exec that has failed.
func (o *output) restart() {
	lost := o.writer.lost.Load()
	o.writer = newLineWriter(os.Stderr)
	o.writer.lost.Store(lost)
	o.log = newLogger(o.set, o.writer)
}

func (o *output) save() outputState {
	s := outputState{First: o.first, File: o.file, FIFO: o.fifo, Start: o.start}
	if l := o.logger; l != nil {
		s.Logger = &loggerState{In: l.in, Read: l.read, Out: l.out, Command: l.command, PID: l.pid, Ring: l.ring}
	}
	return s
}

// restore is the output of another image of this process. Descriptors 1 and 2 are
// what they were.
func (s outputState) restore(gen *generation) (*output, error) {
	for _, fd := range []int{s.First[0], s.First[1], s.File} {
		if fd >= 0 {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
				return nil, fmt.Errorf("descriptor %d of the log files: %w", fd, err)
			}
		}
	}
	o := &output{set: gen.House.Logs, first: s.First, stdout: s.First[0], stderr: s.First[1], file: s.File, fifo: s.FIFO, start: s.Start}
	if std := standardLog(o.set.Workers, s.First[0], s.First[1]); std >= 0 {
		o.stdout, o.stderr = std, std
	}
	o.piped = o.needsPipe()
	if l := s.Logger; l != nil {
		o.logger = &logger{in: l.In, read: l.Read, out: l.Out, command: l.Command, pid: l.PID, ring: l.Ring, user: gen.User}
	}
	o.writer = newLineWriter(os.Stderr)
	o.log = newLogger(o.set, o.writer)
	return o, nil
}
