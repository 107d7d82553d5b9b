// Package checkcmd is the command line of deckhand-check: check and lsp over guard/check and guard/lsp.
//
// It is the only place that knows their flags, and the only one that maps what a check came to to exit codes.
package checkcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// The exit codes.
const (
	exitFailure     = 1   // something could not be checked
	exitFindings    = 3   // findings at or above --fail-on
	exitUsage       = 125 // docker's for a flag it does not know
	exitInterrupted = 130
)

// secondSignal is how long a check has for leaving nothing behind.
const secondSignal = time.Second

// maxGarbage is the memory from which on garbage is collected as soon as it can be: manifests of megabytes leave a lot.
const maxGarbage = 512 << 20

// files are the standard files.
type files struct {
	in       *os.File
	out, err io.Writer
	status   *ui.Status // on err
}

// Main runs the program and returns its exit code. texts reads texts; nil: the program is for images, and becomes
// deckhand-check for all else.
func Main(args []string, in, out, errw *os.File, texts check.Texts) int {
	debug.SetGCPercent(200) // what a document needs is gone before the next but few: little is ever live
	debug.SetMemoryLimit(maxGarbage)
	return run(args, files{in, out, errw, ui.NewStatus(errw)}, texts)
}

func run(args []string, std files, texts check.Texts) int {
	root := newRoot(std, &options{texts: texts, argv: args})
	root.SetArgs(args)
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A second signal ends the program, though not one that timeout(1) sends to its group right after the first.
	context.AfterFunc(ctx, func() { time.AfterFunc(secondSignal, stop) })
	return finish(ctx, std.err, root.ExecuteContext(ctx))
}

// usageError is a command line that makes no sense.
type usageError struct{ err error }

// Error is the message.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *usageError) Unwrap() error { return e.err }

// What a check came to. They are reported already.
var (
	errFindings = errors.New("findings")
	errFailures = errors.New("not everything could be checked")
)

// finish prints err and returns the exit code.
func finish(ctx context.Context, w io.Writer, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.Is(err, errFailures):
		return exitFailure
	case ctx.Err() != nil:
		_, _ = io.WriteString(w, "deckhand: interrupted\n") // nothing to do when stderr is gone
		return exitInterrupted
	}
	_, _ = fmt.Fprintf(w, "deckhand: %s\n", err) // likewise
	for _, l := range hint.Of(err) {
		_, _ = fmt.Fprintf(w, "  %s\n", l) // likewise
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		_, _ = io.WriteString(w, "  see:  deckhand check --help\n") // likewise
		return exitUsage
	}
	return exitFailure
}

// newRoot has the two commands. `deckhand` stands before them on the user's command line.
func newRoot(std files, o *options) *cobra.Command {
	root := &cobra.Command{Use: "deckhand", SilenceErrors: true, SilenceUsage: true}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&o.dataRoot, "data-root", "", "look for images and containers below `DIR` (or DECKHAND_DATA_ROOT)")
	root.PersistentFlags().BoolVarP(&o.debug, "debug", "D", false, "log what is done on stderr")
	root.AddCommand(newCheck(std, o), newLsp(std, o))
	return root
}
