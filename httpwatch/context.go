package httpwatch

import (
	"context"
	"errors"
	"sync"
	"time"
)

// lazyContext is the context of a watched request. Most handlers never ask
// whether theirs is done, so the real one is made when somebody does, or when
// the request is overdue. From then on it is the one that answers everything,
// so that package context finds it when it looks for a parent to hang children
// on, and for the cause.
type lazyContext struct {
	context.Context // the server's
	request         *request
	labels          context.Context // of the goroutine, for pprof.Do in the handler

	mu     sync.Mutex // guards all below
	real   context.Context
	cancel context.CancelCauseFunc
}

// requestKey finds the request in a context.
type requestKey struct{}

func (c *lazyContext) make() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.real, c.cancel = context.WithCancelCause(c.Context)
	}
	return c.real
}

func (c *lazyContext) made() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		return c.Context
	}
	return c.real
}

func (c *lazyContext) Done() <-chan struct{} { return c.make().Done() }

func (c *lazyContext) Err() error { return c.made().Err() }

func (c *lazyContext) Value(key any) any {
	if key == (requestKey{}) {
		return c.request
	}
	if c.labels != nil {
		if v := c.labels.Value(key); v != nil {
			return v
		}
	}
	return c.made().Value(key)
}

// timeOut cancels with ErrTimeout.
func (c *lazyContext) timeOut() {
	c.make()
	c.cancel(ErrTimeout)
}

// end releases what a made context holds; its handler has returned.
func (c *lazyContext) end() {
	c.mu.Lock()
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel(nil)
	}
}

var (
	errNotWatched = errors.New("httpwatch: not the context of a watched request")
	errTooLate    = errors.New("httpwatch: the request is overdue, hijacked or has ended")
)

// SetTimeout gives the request of ctx another limit, counted from its start; d
// must be positive. It may be called concurrently. It fails if ctx is not the
// context of a watched request, or if it is too late.
func SetTimeout(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return errors.New("httpwatch: SetTimeout wants a positive duration; Exempt takes the limit away")
	}
	return change(ctx, d)
}

// Exempt takes the limit of the request of ctx away, for a stream or a long
// poll. Its age counts for nothing any more. It fails as SetTimeout does.
func Exempt(ctx context.Context) error { return change(ctx, 0) }

func change(ctx context.Context, d time.Duration) error {
	r, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		return errNotWatched
	}
	if !r.watch.table.setLimit(r, d) {
		return errTooLate
	}
	return nil
}
