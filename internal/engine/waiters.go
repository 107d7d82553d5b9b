package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// Who waits for a container's exit code holds a shared lock on this file of its directory, so that a
// container that is removed at its end is not gone before the code has been read.
const waitersName = "waiters"

// waitersTimeout bounds how long a container's removal waits for them.
const waitersTimeout = 2 * time.Second

// ExitCode waits for the container's end and returns its exit code. store.ErrNotFound where it was removed
// before.
func (e *Engine) ExitCode(ctx context.Context, id string) (int, error) {
	path := filepath.Join(e.Store.ContainerDir(id), waitersName)
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, store.ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("wait for container: %w", err)
	}
	defer func() { _ = f.Close() }() // gives the lock back
	if err := flock(f, unix.LOCK_SH); err != nil {
		return 0, fmt.Errorf("wait for container: %w", err)
	}
	for {
		st, err := e.Store.State(id)
		if err != nil || st.Status != StatusRunning {
			return st.ExitCode, err
		}
		if err := awaitChange(ctx, st); err != nil {
			return 0, err
		}
	}
}

// awaitChange returns when st may be out of date: pollInterval after the container's process has ended, so
// that its watcher has recorded the end.
func awaitChange(ctx context.Context, st store.State) error {
	if st.Pid > 0 {
		_ = runtime.AwaitPid(ctx, st.Pid, st.StartTicks) // a process that cannot be found has ended
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pollInterval):
		return nil
	}
}

// announce lets those who wait for the exit code read it, before the container is removed.
func (c *Container) announce() error {
	f, err := os.Open(filepath.Join(c.Dir(), waitersName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nobody waits
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // gives the lock back
	if err := c.engine.Store.SetState(c.Record.ID, c.state); err != nil {
		return err
	}
	for range waitersTimeout / pollInterval {
		if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		time.Sleep(pollInterval)
	}
	return nil
}

// flock is flock(2), again after a signal.
func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
