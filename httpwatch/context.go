package httpwatch

import (
	"context"
	"errors"
	"sync/atomic"
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

	made atomic.Pointer[madeContext]
}

type madeContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

// requestKey finds the request in a context.
type requestKey struct{}

func (c *lazyContext) make() *madeContext {
	if m := c.made.Load(); m != nil {
		return m
	}
	ctx, cancel := context.WithCancelCause(c.Context)
	if m := (&madeContext{ctx, cancel}); c.made.CompareAndSwap(nil, m) {
		return m
	}
	cancel(nil) // another goroutine was faster
	return c.made.Load()
}

// current is the real one if it has been made.
func (c *lazyContext) current() context.Context {
	if m := c.made.Load(); m != nil {
		return m.Context
	}
	return c.Context
}

func (c *lazyContext) Done() <-chan struct{} { return c.make().Done() }

func (c *lazyContext) Err() error { return c.current().Err() }

func (c *lazyContext) Value(key any) any {
	if key == (requestKey{}) {
		return c.request
	}
	if c.labels != nil {
		if v := c.labels.Value(key); v != nil {
			return v
		}
	}
	return c.current().Value(key)
}

// timeOut cancels with ErrTimeout.
func (c *lazyContext) timeOut() { c.make().cancel(ErrTimeout) }

// end releases what a made context holds; its handler has returned.
func (c *lazyContext) end() {
	if m := c.made.Load(); m != nil {
		m.cancel(nil)
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
