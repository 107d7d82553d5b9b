// Package buildcmd is the command line of deckhand-build: docker build's flags over internal/build.
//
// It is the only place that knows them, and the only one that maps a build's errors to exit codes.
package buildcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/build"
	"github.com/deckhand-engine/deckhand/internal/linux/mountns"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
)

// The exit codes of a build.
const (
	exitFailure     = 1
	exitUsage       = 125 // docker's for a flag it does not know
	exitInterrupted = 130
)

// files are the standard files.
type files struct {
	in       *os.File
	out, err io.Writer
}

// Main runs the program and returns its exit code.
func Main(args []string, in, out, errw *os.File) int {
	syscall.Umask(0o022)    // what is built does not depend on the user's umask
	debug.SetGCPercent(400) // a build is over soon: collecting garbage early only makes it later
	return run(args, files{in, out, errw})
}

func run(args []string, std files) int {
	cmd := newCommand(std)
	cmd.SetArgs(args)
	cmd.SetIn(std.in)
	cmd.SetOut(std.out)
	cmd.SetErr(std.err)
	return report(std.err, cmd.ExecuteContext(context.Background()))
}

// usageError is a command line that makes no sense.
type usageError struct{ err error }

// Error is the message.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *usageError) Unwrap() error { return e.err }

// errInterrupted ends a build on ctrl-c.
var errInterrupted = errors.New("interrupted")

// buildError is an error of the build itself: it is shown with its place in the Dockerfile.
type buildError struct{ err error }

// Error is the message.
func (e *buildError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *buildError) Unwrap() error { return e.err }

// report prints err and returns the exit code.
func report(w io.Writer, err error) int {
	var usage *usageError
	var failed *buildError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(w, "deckhand: %s\n  see:  deckhand build --help\n", err) // nothing to do when stderr is gone
		return exitUsage
	case errors.As(err, &failed):
		_ = build.PrintError(w, failed.err) // likewise
	default:
		_, _ = fmt.Fprintf(w, "deckhand: %s\n", err) // likewise
	}
	return exitFailure
}

func newCommand(std files) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "deckhand build [OPTIONS] PATH | -",
		Short: "Build an image from a Dockerfile",
		Example: "  deckhand build -t example .\n" +
			"  deckhand build -t example -f docker/Dockerfile --target app .\n" +
			"  deckhand build -t example - < Dockerfile",
		Args:              oneContext,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), std, args[0])
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	cmd.CompletionOptions.DisableDefaultCmd = true
	o.addFlags(cmd.Flags())
	return cmd
}

func oneContext(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return &usageError{fmt.Errorf("build needs exactly one argument, the directory to build from (often a dot), and got %d", len(args))}
	}
	return nil
}

// isolate gives the process a mount namespace of its own, so that nothing it mounts is seen on the host: as
// root by starting again in a new one, for an ordinary user together with a user namespace.
func isolate() error {
	if os.Geteuid() != 0 || rootless.Inside() {
		return rootless.Enter()
	}
	if mountns.Private() {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return mountns.Exec(self, os.Args, os.Environ())
}

// withInterrupt ends ctx at the first ctrl-c; at the second the process dies as it would without us.
func withInterrupt(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case <-sig:
			signal.Stop(sig)
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(sig)
		cancel(nil)
	}
}

// isRemote reports whether the context is an address: docker builds from those.
func isRemote(s string) bool {
	for _, p := range []string{"http://", "https://", "git://", "ssh://", "git@", "github.com/"} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
