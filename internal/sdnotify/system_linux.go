package sdnotify

import (
	"time"

	"golang.org/x/sys/unix"
)

// send sends one datagram, and does not wait. The socket is not connected: the
// supervisor may make a new one at the same address.
func (s *Sender) send(datagram string) error {
	if err := s.open(); err != nil {
		return err
	}
	return unix.Sendto(s.fd, []byte(datagram), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, s.to)
}

// open makes the socket when it is first needed, and tries again at the next
// call if there was no descriptor left for it.
func (s *Sender) open() (err error) {
	if s.fd < 0 {
		s.fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	}
	return err
}

// monotonic is the clock of the supervisor's time stamps, which Go's time does
// not show.
func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
