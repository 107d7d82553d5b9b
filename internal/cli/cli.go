// Package cli is the command line: one file a command; the only place that knows flags.
//
// Each command is a constructor newX(a *app) *cobra.Command. Commands write results to a.out and
// everything else to a.err, and return errors; [Main] alone turns an error into text and an exit code.
package cli

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
)

// Main runs one command line (args[0] is the program's name) and returns the exit code.
func Main(args []string, in, out, err *os.File) int {
	if len(args) == 0 {
		args = []string{"deckhand"}
	}
	syscall.Umask(0o022) // what containers see of files made here does not depend on the user's umask
	a := newApp(in, out, err)
	ctx := context.Background()
	if args[0] == monitorName {
		return a.report(a.monitor(ctx))
	}
	if filepath.Base(args[0]) == ociName {
		return a.report(a.oci(ctx, args[1:]))
	}
	return a.report(a.execute(ctx, args[1:]))
}
