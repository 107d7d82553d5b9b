package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/store"
)

func newRm(a *app) *cobra.Command {
	var force, volumes bool
	cmd := &cobra.Command{
		Use:   "rm [OPTIONS] CONTAINER [CONTAINER...]",
		Short: "Remove containers",
		Args:  argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rm(cmd.Context(), force, args)
		},
		ValidArgsFunction: a.completeContainers,
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "kill running containers first; missing ones are no error")
	cmd.Flags().BoolVarP(&volumes, "volumes", "v", false, "remove anonymous volumes too (they always go)")
	return cmd
}

// rm removes containers. Running ones are killed from outside the user's namespace (whose owner may signal
// them); the files are removed inside, where their owners are mapped.
func (a *app) rm(ctx context.Context, force bool, names []string) error {
	if force && !rootless.Inside() {
		outer, err := a.outerEngine(ctx)
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := killIfRunning(ctx, outer, n); err != nil {
				return err
			}
		}
	}
	e, err := a.engine(ctx)
	if err != nil {
		return err
	}
	if err := e.Sweep(ctx); err != nil {
		return err
	}
	if force {
		names = existing(e.Store, names, a.note)
	}
	return a.eachContainer(ctx, e, names, func(ctx context.Context, rec *store.Container) error {
		return a.removeContainer(ctx, e, rec)
	})
}

// existing leaves out what is not there (any more), with docker's note.
func existing(s *store.Store, names []string, note func(string, ...any)) []string {
	var out []string
	for _, n := range names {
		if _, err := s.Container(n); errors.Is(err, store.ErrNotFound) {
			note("deckhand: no such container: %s", n)
			continue
		}
		out = append(out, n)
	}
	return out
}

func killIfRunning(ctx context.Context, e *engine.Engine, name string) error {
	rec, err := e.Store.Container(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	err = e.Signal(rec, unix.SIGKILL)
	if errors.Is(err, engine.ErrNotRunning) || errors.Is(err, unix.ESRCH) || errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return err
	}
	return e.WaitExit(ctx, rec.ID)
}

func (a *app) removeContainer(ctx context.Context, e *engine.Engine, rec *store.Container) error {
	c, err := e.OpenStopped(ctx, rec)
	if errors.Is(err, store.ErrInUse) {
		return hint.With(fmt.Errorf("cannot remove container %s: container is running", rec.Name),
			"stop and remove it:  deckhand rm -f "+rec.Name)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil // another process removed it
	}
	if err != nil {
		return err
	}
	return c.Remove()
}
