package engine

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// DefaultStopSeconds is how long a container may take to end by itself.
const DefaultStopSeconds = 10

// pollInterval is how often a container's state is looked at while its watcher records the end.
const pollInterval = 5 * time.Millisecond

// Signal sends a signal to the container's first process. ErrNotRunning.
func (e *Engine) Signal(rec *store.Container, sig syscall.Signal) error {
	st, err := e.Store.State(rec.ID)
	if err != nil {
		return err
	}
	if st.Status != StatusRunning {
		return fmt.Errorf("container %s %w", rec.Name, ErrNotRunning)
	}
	if err := runtime.SignalPid(st.Pid, st.StartTicks, sig); err != nil {
		return fmt.Errorf("signal container %s: %w", rec.Name, err)
	}
	return nil
}

// Stop asks the container to end with its stop signal, and kills it when timeout has passed (negative:
// never). It returns when the container's watcher has recorded the end; a container that does not run is
// no error.
func (e *Engine) Stop(ctx context.Context, rec *store.Container, sig syscall.Signal, timeout time.Duration) error {
	err := e.Signal(rec, sig)
	if errors.Is(err, ErrNotRunning) || errors.Is(err, unix.ESRCH) {
		return e.WaitExit(ctx, rec.ID)
	}
	if err != nil {
		return err
	}
	wait, cancel := ctx, context.CancelFunc(func() {})
	if timeout >= 0 {
		wait, cancel = context.WithTimeout(ctx, timeout)
	}
	err = e.WaitExit(wait, rec.ID)
	cancel()
	if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	err = e.Signal(rec, unix.SIGKILL)
	if err != nil && !errors.Is(err, ErrNotRunning) && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return e.WaitExit(ctx, rec.ID)
}

// WaitExit waits until nobody watches the container any more: its end is recorded, or it is removed.
func (e *Engine) WaitExit(ctx context.Context, id string) error {
	for {
		st, err := e.Store.State(id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err != nil:
			return err
		case st.Status != StatusRunning && !e.Store.Watched(id):
			return nil
		}
		if err := awaitChange(ctx, st); err != nil {
			return err
		}
	}
}
