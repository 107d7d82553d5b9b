package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// Values of inspect --type.
const (
	typeContainer = "container"
	typeImage     = "image"
)

// inspectOptions are the flags of inspect.
type inspectOptions struct{ format, kind string }

// AddFlags adds docker's flags.
func (o *inspectOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.format, "format", "f", "", "`json`, or a Go template")
	f.StringVar(&o.kind, "type", "", "what to look for: `image` or container")
}

func newInspect(a *app) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect [OPTIONS] NAME|ID...",
		Short: "Show everything about images and containers, as docker's JSON",
		Args:  argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInspect(cmd.Context(), a, &o, args)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			images, directive := a.completeImages(cmd, args, prefix)
			containers, _ := a.completeContainers(cmd, args, prefix)
			return append(images, containers...), directive
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

// runInspect shows what it finds, then reports what it did not.
func runInspect(ctx context.Context, a *app, o *inspectOptions, names []string) error {
	if o.kind != "" && o.kind != typeImage && o.kind != typeContainer {
		return fmt.Errorf("%q is not a valid value for --type: image or container", o.kind)
	}
	s, err := a.outerStore(ctx)
	if err != nil {
		return err
	}
	found := make([]any, 0, len(names))
	var errs []error
	for _, name := range names {
		v, err := inspectOne(ctx, s, o.kind, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, v)
	}
	if err := a.printInspected(found, o.format); err != nil {
		errs = append([]error{err}, errs...)
	}
	return joined(errs)
}

// inspectOne finds a container, else an image.
func inspectOne(ctx context.Context, s *store.Store, kind, name string) (any, error) {
	if kind != typeImage {
		c, err := s.Container(name)
		if err == nil {
			return inspectContainer(s, c)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if kind == typeContainer {
			return nil, hint.With(&namedError{"No such container: " + name, err}, "what there is:  deckhand ps -a")
		}
	}
	img, err := s.Image(ctx, name)
	switch {
	case err == nil:
		return inspectImage(ctx, s, img)
	case kind == typeImage:
		return nil, noSuchImage(err, name)
	case errors.Is(err, store.ErrNotFound):
		return nil, hint.With(&namedError{"No such object: " + name, err}, "what there is:  deckhand images; deckhand ps -a")
	}
	return nil, err
}

func (a *app) printInspected(found []any, format string) error {
	if format == "" || format == formatJSON {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if format == "" {
			e.SetIndent("", "    ")
		}
		if err := e.Encode(found); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		_, err := a.out.Write(b.Bytes())
		return err
	}
	t, err := parseTemplate(format)
	if err != nil {
		return err
	}
	for _, v := range found {
		m, err := asMap(v)
		if err != nil {
			return err
		}
		if err := execTemplate(a.out, t, m); err != nil {
			return err
		}
	}
	return nil
}
