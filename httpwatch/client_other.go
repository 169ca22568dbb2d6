//go:build !linux

package httpwatch

import "net"

// carried is not known here: a wait that lasts is taken for one without progress.
func carried(net.Conn) (received, acked uint64, ok bool) { return 0, 0, false }
