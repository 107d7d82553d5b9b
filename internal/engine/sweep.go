package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// Sweep clears what dead processes left: cgroups, networks, records of containers to be removed.
func (e *Engine) Sweep(ctx context.Context) error {
	return errors.Join(e.SweepContainers(), cgroup.Sweep(), network.Sweep(ctx))
}

// SweepContainers is the part of Sweep that every start of a container pays for: one readdir where there
// is nothing to clear.
func (e *Engine) SweepContainers() error {
	dead, err := e.Store.DeadContainers()
	if err != nil {
		return fmt.Errorf("find dead containers: %w", err)
	}
	var errs []error
	for _, c := range dead {
		if err := e.bury(c); err != nil {
			errs = append(errs, fmt.Errorf("clear container %s: %w", c.ID, err))
		}
	}
	return errors.Join(errs...)
}

// bury clears up after a container whose watcher was killed. Its processes died with the watcher.
func (e *Engine) bury(c *store.Container) error {
	lock, err := e.Store.LockContainer(c.ID)
	if errors.Is(err, store.ErrInUse) || errors.Is(err, store.ErrNotFound) {
		return nil // another process is at it
	}
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if err := removeGroup(c); err != nil {
		return err
	}
	if c.AutoRemove {
		return e.Store.RemoveContainer(c.ID)
	}
	st, err := e.Store.State(c.ID)
	if err != nil {
		return err
	}
	return e.Store.SetState(c.ID, st)
}

func removeGroup(c *store.Container) error {
	cfg, err := ConfigOf(c)
	if err != nil {
		return err
	}
	g, err := cfg.findGroup(c.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return endGroup(g, cfg.Modes.PID != "")
}
