// Package hardencmd is the command line of deckhand-harden: probe and harden over guard/probe, guard/harden and the
// lab.
//
// It is the only place that knows their flags, and the only one that maps what they came to to exit codes.
package hardencmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// The exit codes.
const (
	exitFailure     = 1   // it could not be done
	exitIrreducible = 3   // it was proven, but for a privilege
	exitAllowed     = 3   // what --fail-on does not let pass is allowed
	exitUsage       = 125 // docker's for a flag it does not know
	exitInterrupted = 130
)

// files are the standard files.
type files struct {
	in       *os.File
	out, err io.Writer
	status   *ui.Status // on err
}

// global are the flags of both commands.
type global struct {
	dataRoot string
	debug    bool
}

// Main runs the program and returns its exit code.
func Main(args []string, in, out, errw *os.File) int {
	syscall.Umask(0o022) // what is built and written does not depend on the user's umask
	return run(args, files{in, out, errw, ui.NewStatus(errw)})
}

func run(args []string, std files) int {
	root := newRoot(std)
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return finish(ctx, std.err, root.ExecuteContext(ctx))
}

// usageError is a command line that makes no sense.
type usageError struct{ err error }

// Error is the message.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *usageError) Unwrap() error { return e.err }

// finish prints err and returns the exit code.
func finish(ctx context.Context, w io.Writer, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errAllowed):
		return exitAllowed
	case errors.Is(err, errIrreducible):
		return exitIrreducible
	}
	interrupted := ctx.Err() != nil
	if interrupted {
		err = hint.With(errors.New("interrupted"), hint.Of(err)...)
	}
	_, _ = fmt.Fprintf(w, "deckhand: %s\n", err) // nothing to do when stderr is gone
	for _, l := range hint.Of(err) {
		_, _ = fmt.Fprintf(w, "  %s\n", l) // likewise
	}
	if interrupted {
		return exitInterrupted
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailure
}

// newRoot has the two commands. `deckhand` stands before them on the user's command line.
func newRoot(std files) *cobra.Command {
	g := &global{}
	root := &cobra.Command{Use: "deckhand", SilenceErrors: true, SilenceUsage: true}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&g.dataRoot, "data-root", "", "keep images and containers below `DIR` (or DECKHAND_DATA_ROOT)")
	root.PersistentFlags().BoolVarP(&g.debug, "debug", "D", false, "log what is done on stderr")
	root.AddCommand(newProbe(std, g), newHarden(std, g))
	return root
}
