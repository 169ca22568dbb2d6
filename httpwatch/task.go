package httpwatch

import (
	"context"
	"time"
)

// Task is a unit of work that is not an HTTP request: an RPC, a job, a
// connection. It has the same limit and leads to the same Incident; there is
// nothing to answer.
type Task struct{ request *request }

// Begin puts work under watch, named by label in incidents. The goroutine that
// calls it is the one whose stack an incident shows; the same one calls Done.
func (w *Watch) Begin(ctx context.Context, label string) *Task {
	r := &request{watch: w, path: label, start: w.now()}
	r.ctx.Context, r.ctx.request = ctx, r
	w.table.enter(r, w.opt.Timeout)
	r.sit(ctx)
	return &Task{r}
}

// Context is cancelled with the cause ErrTimeout when the task is overdue, and
// when it is done.
func (t *Task) Context() context.Context { return &t.request.ctx }

// SetTimeout changes the limit, counted from Begin; 0 or less takes it away. It
// may be called from any goroutine. After Done, or once the task is overdue, it
// does nothing.
func (t *Task) SetTimeout(d time.Duration) { t.request.watch.table.setLimit(t.request, max(d, 0)) }

// Done ends the task. A second call does nothing.
func (t *Task) Done() {
	r := t.request
	if !r.watch.table.sits(r) {
		return
	}
	r.rise()
	if r.watch.table.leave(r) {
		r.watch.clerk.recovered(r)
	}
	r.ctx.end()
}
