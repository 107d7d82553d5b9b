package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

func newRun(a *app) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
		Short: "Create a container and run a command in it",
		Long: "Create a container and run a command in it. A container whose user would be root because nobody\n" +
			"said otherwise is refused: name a user with -u, or root with -u root.",
		Example: "  deckhand run --rm -u 9000 ubuntu whoami\n" +
			"  deckhand run -d --name cache -u 9000 -p 6379:6379 redis",
		Args: argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.entrypointSet = cmd.Flags().Changed("entrypoint")
			if err := o.loadProfile(cmd.Flags()); err != nil {
				return engineError(err)
			}
			return engineError(a.run(cmd.Context(), &o, args[0], args[1:]))
		},
		ValidArgsFunction: a.completeImages,
	}
	o.addFlags(cmd.Flags())
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().SortFlags = false
	_ = cmd.MarkFlagDirname("profile") // declared just above, as is volume
	_ = cmd.RegisterFlagCompletionFunc("volume", a.completeMount)
	return cmd
}

// run creates and starts a container of the named image.
func (a *app) run(ctx context.Context, o *runOptions, image string, args []string) error {
	if err := a.checkRun(o); err != nil {
		return err
	}
	if !o.detach {
		var done bool
		var err error
		if a.front, done, err = a.behind(ctx, o.front, o.tty, o.interactive); done {
			return err
		}
	}
	if err := a.enterFor(ctx, o); err != nil {
		return err
	}
	e, err := a.engine(ctx)
	if err != nil {
		return err
	}
	lease, err := e.Store.Lease(ctx)
	if err != nil {
		return err
	}
	defer lease.Release()
	l, err := a.prepareRun(ctx, e, o, image, args)
	if err != nil {
		return err
	}
	if o.detach {
		return a.runDetached(ctx, l, o)
	}
	c, err := e.Create(ctx, l.Record, l.Config)
	if err != nil {
		return explainConflict(err, l.Record.Name)
	}
	lease.Release()
	c.Unwritable = unwritableNote(a.note)
	check := l.checker(a.note)
	return a.foreground(ctx, c, o.interactive, func(u oci.User) error {
		if err := check(u); err != nil {
			return err
		}
		return writeCIDFile(o.cidFile, l.Record.ID)
	})
}

// checkRun refuses what cannot work before anything is opened.
func (a *app) checkRun(o *runOptions) error {
	if err := a.checkTerminal(o.tty, o.interactive, o.detach); err != nil {
		return err
	}
	if o.cidFile != "" {
		if _, err := os.Lstat(o.cidFile); err == nil {
			return fmt.Errorf("container ID file found, make sure the other container isn't running or delete %s", o.cidFile)
		}
	}
	return checkName(o.name)
}

// checkTerminal refuses -it without a terminal, as docker does.
func (a *app) checkTerminal(tty, interactive, detach bool) error {
	if tty && interactive && !detach && !term.IsTerminal(int(a.in.Fd())) {
		return &codeError{code: exitFailure, err: errors.New("the input device is not a TTY")}
	}
	return nil
}

// checkName holds docker's rule for a container's name; empty is fine.
func checkName(name string) error {
	const first = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" {
		return nil
	}
	if len(name) < 2 || !strings.Contains(first, name[:1]) || !onlyOf(name, first+"_.-") {
		return fmt.Errorf("invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name)
	}
	return nil
}

// onlyOf reports whether every character of s is one of chars.
func onlyOf(s, chars string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(chars, r) }) < 0
}

// prepareRun finds the image and joins it with the flags.
func (a *app) prepareRun(ctx context.Context, e *engine.Engine, o *runOptions, name string, args []string) (*launch, error) {
	policy, err := a.rootPolicy()
	if err != nil {
		return nil, err
	}
	img, err := a.imageToRun(ctx, e.Store, name, o.pull)
	if err != nil {
		return nil, err
	}
	cfg, command, err := a.containerConfig(o, img, args)
	if err != nil {
		return nil, err
	}
	if err := a.shareNamespaces(e.Store, o, &cfg); err != nil {
		return nil, err
	}
	if err := a.obeyProfile(o, &cfg, img, name); err != nil {
		return nil, err
	}
	layers, err := e.Store.ImageLayers(ctx, img)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	id := engine.NewID()
	if cfg.Spec.Hostname == "" {
		cfg.Spec.Hostname = defaultHostname(cfg, id)
	}
	return &launch{
		Record: &store.Container{
			ID:         id,
			Name:       o.name,
			Image:      name,
			ImageID:    img.ID.String(),
			Layers:     layers,
			Created:    a.now().UTC(),
			Command:    command,
			Detached:   o.detach,
			AutoRemove: o.remove,
		},
		Config: cfg,
		Root:   rootCheck{Policy: policy, Image: name, ImageUser: img.Config.Config.User, Asked: userNamed(o.user) || o.profile != nil},
	}, nil
}

// explainConflict says how to free a name that is taken.
func explainConflict(err error, name string) error {
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	return hint.With(err, "remove that container:  deckhand rm -f "+name)
}

func writeCIDFile(path, id string) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // others may read an id
	if err != nil {
		return fmt.Errorf("write container id: %w", err)
	}
	_, err = f.WriteString(id)
	return errors.Join(err, f.Close())
}
