package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
)

func newStart(a *app) *cobra.Command {
	var attach, interactive bool
	cmd := &cobra.Command{
		Use:   "start [OPTIONS] CONTAINER [CONTAINER...]",
		Short: "Start stopped containers again",
		Args:  argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.start(cmd.Context(), args, attach || interactive, interactive)
		},
		ValidArgsFunction: a.completeContainers,
	}
	cmd.Flags().BoolVarP(&attach, "attach", "a", false, "join its output and end as it ends")
	cmd.Flags().BoolVarP(&interactive, "interactive", "i", false, "join its input as well")
	return cmd
}

// start starts what was allowed to run before: the decision about root was made then.
func (a *app) start(ctx context.Context, names []string, attach, interactive bool) error {
	if attach && len(names) > 1 {
		return errors.New("you cannot start and attach multiple containers at once")
	}
	if err := a.enterBesideDonorOf(ctx, names[0]); err != nil {
		return err
	}
	e, err := a.engine(ctx)
	if err != nil {
		return err
	}
	if attach {
		return a.startAttached(ctx, e, names[0], interactive)
	}
	return a.eachContainer(ctx, e, names, func(ctx context.Context, rec *store.Container) error {
		if st, err := e.Store.State(rec.ID); err == nil && st.Status == engine.StatusRunning {
			return nil // as docker
		}
		return a.spawnMonitor(ctx, &launch{Start: rec.ID, Root: rootCheck{Policy: rootAllow}})
	})
}

func (a *app) startAttached(ctx context.Context, e *engine.Engine, name string, interactive bool) error {
	rec, err := a.findContainer(e.Store, name)
	if err != nil {
		return err
	}
	if err := a.checkTerminal(false, interactive, false); err != nil {
		return err
	}
	c, err := e.OpenStopped(ctx, rec)
	if errors.Is(err, store.ErrInUse) {
		return errors.New("container " + rec.Name + " is running already")
	}
	if err != nil {
		return err
	}
	return a.foreground(ctx, c, interactive, nil)
}
