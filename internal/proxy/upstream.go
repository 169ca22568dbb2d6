package proxy

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// upstream is the app where it listens.
type upstream struct {
	address
	app *app
}

var errNoApp = errors.New("the app has ended")

// busyPause is the time until an app whose queue is full is asked again.
const busyPause = 5 * time.Millisecond

// dial connects to the app. On a Unix socket whose queue is full connect(2) does
// not wait as on TCP but fails with EAGAIN; so it is waited for here, until ctx or
// the app ends.
func (u upstream) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	for {
		if u.app.over() {
			return nil, errNoApp // its port may be another's by now
		}
		c, err := d.DialContext(ctx, u.network, u.addr)
		if !errors.Is(err, syscall.EAGAIN) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(busyPause):
		}
	}
}
