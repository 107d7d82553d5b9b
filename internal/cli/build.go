package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/linux/mountns"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/programs"
	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/internal/unchanged"
)

// buildProgram holds the Dockerfile front end; it is a program of its own because its packages cost
// every start three milliseconds.
const buildProgram = "deckhand-build"

func newBuild(a *app) *cobra.Command {
	return &cobra.Command{
		Use:                "build [OPTIONS] PATH",
		Short:              "Build an image from a Dockerfile",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.build(cmd.Context(), args)
		},
		ValidArgsFunction: completeBy(buildProgram),
	}
}

// build repeats what a build with nothing to do printed, or else leaves it to deckhand-build.
func (a *app) build(ctx context.Context, args []string) error {
	path, err := programs.Find(buildProgram)
	if err != nil {
		return err
	}
	argv := append([]string{buildProgram}, a.globalFlags()...)
	argv = append(argv, args...)
	if rec := a.unchangedBuild(ctx, path, argv[1:]); rec != nil {
		_, outErr := io.WriteString(a.out, rec.Stdout)
		_, err := io.WriteString(a.err, rec.Stderr)
		return errors.Join(outErr, err)
	}
	return execBuild(path, argv)
}

// unchangedBuild is the record of a build that would find everything as it was, or nil.
func (a *app) unchangedBuild(ctx context.Context, path string, args []string) *unchanged.Record {
	if ui.IsTerminal(a.err) {
		return nil
	}
	root, err := a.root()
	if err != nil {
		return nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil
	}
	c := unchanged.Command{Root: root, Program: path, Args: args, Dir: dir, Env: os.Environ()}
	if !c.Known() {
		return nil
	}
	s, err := a.outerStore(ctx)
	if err != nil {
		return nil
	}
	rec, _ := c.Find(ctx, s)
	return rec
}

// execBuild replaces this process by deckhand-build. Root's build wants a mount namespace of its own and would
// have to start itself again to get one, so it is started in one.
func execBuild(path string, argv []string) error {
	if os.Geteuid() == 0 && !rootless.Inside() {
		if err := mountns.Exec(path, argv, os.Environ()); !errors.Is(err, syscall.EPERM) {
			return err
		}
	}
	return programs.Become(path, argv)
}

// globalFlags are the global flags given before the command's name.
func (a *app) globalFlags() []string {
	var f []string
	if a.dataRoot != "" {
		f = append(f, "--data-root", a.dataRoot)
	}
	if a.debug {
		f = append(f, "--debug")
	}
	return f
}
