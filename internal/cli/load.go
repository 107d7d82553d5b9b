package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// loadOptions are the flags of load.
type loadOptions struct {
	input string
	quiet bool
}

// AddFlags adds docker's flags.
func (o *loadOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.input, "input", "i", "", "read from a tar archive `file`, not from stdin")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
}

func newLoad(a *app) *cobra.Command {
	var o loadOptions
	cmd := &cobra.Command{
		Use:   "load [OPTIONS]",
		Short: "Load images from a docker archive or an OCI layout (tar, compressed or not)",
		Args:  argCount(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runLoad(cmd.Context(), a, &o)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func runLoad(ctx context.Context, a *app, o *loadOptions) error {
	name := o.input
	if name == "" {
		name = "-"
		if ui.IsTerminal(a.in) {
			return hint.With(fmt.Errorf("requested load from stdin, but stdin is empty"), "name the archive:  deckhand load -i FILE")
		}
	}
	s, err := a.store(ctx)
	if err != nil {
		return err
	}
	f, err := a.openInput(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	ctx, done := interruptible(ctx)
	title := "Loading"
	if o.quiet {
		title = ""
	}
	in := a.watchFile(ctx, f, title, name)
	images, err := s.Load(ctx, in)
	in.end(err)
	if err != nil {
		return done(hint.With(fmt.Errorf("load %s: %w", name, err), "a root filesystem without image data is read by:  deckhand import "+name+" NAME"))
	}
	return done(a.printLoaded(images))
}

func (a *app) printLoaded(images []*store.Image) error {
	for _, img := range images {
		line := "Loaded image ID: " + img.ID.String()
		if img.Ref.Repository != "" {
			line = "Loaded image: " + img.Ref.Familiar()
		}
		if err := a.println(line); err != nil {
			return err
		}
	}
	return nil
}
