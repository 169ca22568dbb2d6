package proxy

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealthPutsASickAppUnderWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		var begun, ended atomic.Int64
		died := make(chan struct{})
		h := &health{every: 5 * time.Second, begin: func() func() { begun.Add(1); return func() { ended.Add(1) } },
			check: func() error {
				if broken.Load() {
					return errors.New("refused")
				}
				return nil
			}}
		go h.watch(died)
		look := func(wantBegun, wantEnded int64) {
			t.Helper()
			time.Sleep(11 * time.Second)
			synctest.Wait()
			if b, e := begun.Load(), ended.Load(); b != wantBegun || e != wantEnded || h.sick.Load() != (b > e) {
				t.Errorf("begun %d, ended %d, sick %v; want %d, %d", b, e, h.sick.Load(), wantBegun, wantEnded)
			}
		}
		look(0, 0)
		broken.Store(true)
		look(1, 0)
		look(1, 0)
		broken.Store(false)
		look(1, 1)
		broken.Store(true)
		look(2, 1)
		close(died)
	})
}

func TestHealthLooksTwiceWithinTheTimeout(t *testing.T) {
	t.Parallel()
	for limit, want := range map[time.Duration]time.Duration{0: checkEvery, time.Minute: checkEvery,
		2 * time.Second: time.Second, time.Millisecond: checkFastest} {
		if got := checkPause(limit); got != want {
			t.Errorf("%s: %s, want %s", limit, got, want)
		}
	}
}
