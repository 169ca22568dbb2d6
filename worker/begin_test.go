package worker

import (
	"context"
	"errors"
	"testing"
)

type beginKey struct{}

// A task's context is a child of the caller's.
func TestBeginContext(t *testing.T) {
	t.Parallel()
	gone := errors.New("the client has gone")
	parent, cancel := context.WithCancelCause(context.WithValue(context.Background(), beginKey{}, "it"))
	task := BeginContext(parent, "work")
	defer task.Done()
	if got := task.Context().Value(beginKey{}); got != "it" {
		t.Errorf("the task does not know what its caller knows: %v", got)
	}
	cancel(gone)
	<-task.Context().Done()
	if got := context.Cause(task.Context()); got != gone {
		t.Errorf("the cause is %v", got)
	}
}
