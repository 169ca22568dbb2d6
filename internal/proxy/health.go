package proxy

import (
	"sync/atomic"
	"time"
)

const (
	checkEvery    = 5 * time.Second        // between two looks at a healthy app
	checkFastest  = 250 * time.Millisecond // with a short timeout
	noLimitHealth = 30 * time.Second       // how long an app may be unwell if requests have no limit
)

// health looks after a ready app. One that fails its check is treated as a request
// that is not answered: from then on a task is under watch until the app is well
// again, so that the master hears of it at the timeout and replaces the pair after
// the grace, with the successor ready first.
type health struct {
	check func() error
	every time.Duration
	begin func() (end func()) // puts the task under watch; end from the same goroutine
	sick  atomic.Bool
}

// checkPause is short enough for two checks within the limit of a request.
func checkPause(limit time.Duration) time.Duration {
	if limit == 0 {
		return checkEvery
	}
	return min(checkEvery, max(limit/2, checkFastest))
}

// watch ends with the app.
func (h *health) watch(died <-chan struct{}) {
	var end func()
	for {
		select {
		case <-died:
			return
		case <-time.After(h.every):
		}
		switch well := h.check() == nil; {
		case !well && end == nil:
			h.sick.Store(true)
			end = h.begin()
		case well && end != nil:
			h.sick.Store(false)
			end()
			end = nil
		}
	}
}
