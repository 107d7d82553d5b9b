package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// WaitAgain is Wait for a container that is to be started again, or to be looked at, by this process: it keeps the
// container and its lock, whatever the record says. Should this process die meanwhile, the container counts as one
// whose watcher died. ended, if it is not nil, is called as soon as the first process has ended, before the
// clearing up. Discard is for the end.
func (c *Container) WaitAgain(ctx context.Context, r *Running, ended func(runtime.Exit)) (runtime.Exit, error) {
	exit, err := r.Process.Wait()
	if err == nil && ended != nil {
		ended(exit)
	}
	err = errors.Join(err, r.release(ctx))
	err = c.releaseNetwork(ctx, err)
	c.net, c.fresh = nil, false
	c.state = store.State{Status: StatusCreated, ExitCode: exit.Code, Started: c.state.Started, Finished: c.now().UTC()}
	err = errors.Join(err, c.engine.Store.SetState(c.Record.ID, c.state))
	if !c.Record.AutoRemove {
		return exit, err
	}
	// An overlay that was mounted as volatile leaves a mark that keeps it from being mounted again: its content
	// may be torn after a crash of the machine. There was none.
	if rmErr := os.RemoveAll(filepath.Join(c.Dir(), "work", "work", "incompat")); rmErr != nil {
		err = errors.Join(err, fmt.Errorf("make ready to start again: %w", rmErr))
	}
	return exit, err
}

// Discard removes the container, which does not run, and gives its lock back.
func (c *Container) Discard() error { return c.recycle() }

// Ports are the published ports of the container that was started last, host ports chosen.
func (c *Container) Ports() []network.Port {
	if c.net == nil {
		return nil
	}
	return c.net.Ports()
}

// Address is the container's own address while it runs; invalid where it has none that the host can reach.
func (c *Container) Address() netip.Addr {
	if c.net == nil {
		return netip.Addr{}
	}
	return c.net.Address()
}
