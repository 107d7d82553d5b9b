package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// rmiOptions are the flags of rmi.
type rmiOptions struct{ force bool }

// AddFlags adds docker's flags.
func (o *rmiOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.force, "force", "f", false, "remove the image also with several names or stopped containers")
}

func newRmi(a *app) *cobra.Command {
	var o rmiOptions
	cmd := &cobra.Command{
		Use:   "rmi [OPTIONS] IMAGE...",
		Short: "Remove images",
		Args:  argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRmi(cmd.Context(), a, &o, args)
		},
		ValidArgsFunction: a.completeImages,
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func runRmi(ctx context.Context, a *app, o *rmiOptions, names []string) error {
	s, err := a.store(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		removed, err := s.RemoveImage(ctx, name, o.force)
		if err := a.printRemoved(removed); err != nil {
			return err
		}
		switch {
		case err == nil:
		case o.force && errors.Is(err, store.ErrNotFound):
			a.note("deckhand: No such image: %s", name)
		case errors.Is(err, store.ErrInUse):
			errs = append(errs, hint.With(err, "remove what uses it (deckhand ps -a), or:  deckhand rmi -f "+name))
		default:
			errs = append(errs, noSuchImage(err, name))
		}
	}
	if err := s.GC(ctx); err != nil {
		errs = append(errs, err)
	}
	return joined(errs)
}

// printRemoved says what was removed, as docker does.
func (a *app) printRemoved(r store.Removed) error {
	for _, u := range r.Untagged {
		if err := a.println("Untagged: " + u); err != nil {
			return err
		}
	}
	for _, d := range r.Deleted {
		if err := a.println("Deleted: " + d.String()); err != nil {
			return err
		}
	}
	return nil
}
