package sockets

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Adjust applies opt to a socket that listens already, without closing it or
// losing what is queued: name, backlog, defer_accept for the connections to come,
// and owner and mode of a unix socket's file, if it still is the one that l made.
// What Owner and Group -1 leave is what the file has now. V6Only is settled when
// a socket is bound, and there is nothing to be patient for: both are ignored.
//
// One that was inherited stays as it is: it is configured where it was made (a
// systemd unit has Backlog=, SocketMode= and so on), and by its name it was
// handed over.
//
// What can be applied is, even if something else cannot; the error says all that
// could not.
func (l *Listener) Adjust(opt Options) error {
	if l.adopted {
		return nil
	}
	opt = opt.withDefaults()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name = opt.Name
	if err := errors.Join(l.adjustBacklog(opt.Backlog), l.adjustKind(opt)); err != nil {
		return fmt.Errorf("adjust the listener on %s: %w", l.address, err)
	}
	return nil
}

// adjustBacklog listens once more: on a socket that listens already, listen(2)
// only changes the limit of the queue (inet_listen, unix_listen in the kernel).
// The caller holds l.mu, as for the others below.
func (l *Listener) adjustBacklog(backlog int) error {
	for _, fd := range l.fdsLocked() {
		if err := unix.Listen(fd, backlog); err != nil {
			return fmt.Errorf("listen with a backlog of %d: %w", backlog, err)
		}
	}
	l.backlog = backlog
	return nil
}

// adjustKind applies what only TCP or only a unix socket with a path has.
func (l *Listener) adjustKind(opt Options) error {
	switch {
	case l.network == "tcp":
		var errs []error
		for _, fd := range l.fdsLocked() {
			errs = append(errs, tuneTCP(fd, opt.DeferAccept)) // the other options are as they were set
		}
		return errors.Join(errs...)
	case l.path != "":
		_, err := dress(l.path, opt, l.made)
		return err
	}
	return nil
}
