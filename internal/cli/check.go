package cli

import (
	"github.com/spf13/cobra"
)

// checkProgram holds the checks; it is a program of its own because what it reads Dockerfiles and manifests with
// would slow the start of every container.
const checkProgram = "deckhand-check"

func newCheck(a *app) *cobra.Command {
	return a.byProgram(checkProgram, "check [OPTIONS] [PATH|IMAGE|CONTAINER|-]...", "Find what will run as root, and what else it should not be allowed")
}

func newLsp(a *app) *cobra.Command {
	return a.byProgram(checkProgram, "lsp", "Serve an editor with what check finds, over stdin and stdout")
}
