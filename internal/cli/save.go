package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// saveOptions are the flags of save.
type saveOptions struct{ output string }

// AddFlags adds docker's flags.
func (o *saveOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.output, "output", "o", "", "write to a `file`, not to stdout")
}

func newSave(a *app) *cobra.Command {
	var o saveOptions
	cmd := &cobra.Command{
		Use:   "save [OPTIONS] IMAGE...",
		Short: "Write images to a tar archive that docker, podman and OCI tools read",
		Args:  argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSave(cmd.Context(), a, &o, args)
		},
		ValidArgsFunction: a.completeImages,
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func runSave(ctx context.Context, a *app, o *saveOptions, names []string) error {
	if o.output == "" && ui.IsTerminal(a.out) {
		return hint.With(errors.New("cowardly refusing to save to a terminal"), "name a file:  deckhand save -o FILE …")
	}
	s, err := a.store(ctx)
	if err != nil {
		return err
	}
	ctx, done := interruptible(ctx)
	lease, err := s.Lease(ctx)
	if err != nil {
		return done(err)
	}
	defer lease.Release()
	var images []*store.Image
	for _, name := range names {
		img, err := s.Image(ctx, name)
		if err != nil {
			return done(noSuchImage(err, name))
		}
		images = append(images, img)
	}
	write := func(w io.Writer) error { return s.Save(ctx, w, images) }
	if o.output == "" {
		return done(write(a.out))
	}
	return done(writeWhole(o.output, write))
}

// writeWhole writes a file that is there either whole or not at all; what is no regular file is written in place.
func writeWhole(name string, write func(io.Writer) error) (err error) {
	if st, err := os.Stat(name); err == nil && !st.Mode().IsRegular() {
		if st.IsDir() {
			return fmt.Errorf("%s is a directory", name)
		}
		return writeInPlace(name, write)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".deckhand-save-")
	if err != nil {
		return fmt.Errorf("create archive: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error is the one to tell
		}
	}()
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

func writeInPlace(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open output: %w", err)
	}
	return errors.Join(write(f), f.Close())
}
