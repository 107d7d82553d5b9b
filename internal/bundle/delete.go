package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// Delete undoes what Create did. A container that has not ended is deleted only with force.
func (c *Container) Delete(ctx context.Context, force bool) error {
	if force {
		c.interrupt()
	}
	l, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	if status := c.Status(); status != specs.StateStopped && !force && c.record.Phase != phaseCreating {
		return fmt.Errorf("cannot delete container %s that is not stopped: %s", c.record.ID, status)
	}
	return c.clear(context.WithoutCancel(ctx))
}

// interrupt ends a container in the making, so that whoever makes it lets go of the lock.
func (c *Container) interrupt() {
	if c.record.Phase == phaseCreating && c.record.Process.Pid > 0 {
		_ = c.signal(unix.SIGKILL) // it may have ended
	}
}

// clear removes whatever there is of the container, with the lock held, and calls the poststop hooks
// once it is gone.
func (c *Container) clear(ctx context.Context) error {
	if _, err := c.Spec(); err != nil && !gone(err) {
		c.root.warn(err) // its creator was killed while writing it: no hook has been called
	}
	return c.destroy(ctx)
}

// destroy ends the container's processes and removes its cgroup, its hooks' last call included.
func (c *Container) destroy(ctx context.Context) error {
	if err := c.end(ctx); err != nil {
		return err
	}
	if err := c.removeCgroup(); err != nil {
		return err
	}
	state, spec := c.state(specs.StateStopped), c.spec
	state.Pid = 0
	if err := c.remove(); err != nil {
		return err
	}
	if spec != nil {
		c.root.warn(runEveryHook(ctx, spec.Hooks, pointPoststop, state))
	}
	return nil
}

// endTimeout is how long the end of a killed process is waited for.
const endTimeout = 10 * time.Second

// end kills the first process and waits for its end.
func (c *Container) end(ctx context.Context) error {
	p := c.record.Process
	if !p.alive() {
		return nil
	}
	if err := c.signal(unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	if err := runtime.AwaitPid(ctx, p.Pid, p.StartTicks); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("wait for the end of %s: %w", c.record.ID, err)
	}
	return nil
}

func (c *Container) signal(sig unix.Signal) error {
	return runtime.SignalPid(c.record.Process.Pid, c.record.Process.StartTicks, sig)
}
