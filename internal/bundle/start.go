package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// Start has a created container execute its command.
func (c *Container) Start(ctx context.Context) error {
	l, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	switch status := c.Status(); status {
	case specs.StateCreated:
	case specs.StateRunning:
		return errors.New("cannot start an already running container")
	case specs.StateStopped:
		return errors.New("cannot start a container that has stopped")
	default:
		return fmt.Errorf("cannot start a container in the %s state", status)
	}
	if _, err := c.Spec(); err != nil {
		return err
	}
	err = runtime.OpenGate(ctx, c.path(gateName))
	if errors.Is(err, runtime.ErrNotWaiting) {
		_ = os.Remove(c.path(gateName)) // whoever started it was killed before it could
		return errors.New("cannot start an already running container")
	}
	if err != nil {
		return err
	}
	return c.poststart(ctx)
}

// lock locks the container, and reads again what may have changed since.
func (c *Container) lock(ctx context.Context) (*lock, error) {
	l, err := acquire(ctx, c.dir, lockPatience)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotExist, c.record.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("lock container %s: %w", c.record.ID, err)
	}
	if err := c.read(c.record.ID); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}
