package cli

import (
	"github.com/spf13/cobra"
)

// checkProgram holds the checks; it is a program of its own because what it reads Dockerfiles and manifests with
// would slow the start of every container.
const checkProgram = "deckhand-check"

func newCheck(a *app) *cobra.Command {
	return a.byCheckProgram("check [OPTIONS] [PATH|IMAGE|CONTAINER|-]...", "Find what will run as root, and what else it should not be allowed")
}

func newLsp(a *app) *cobra.Command {
	return a.byCheckProgram("lsp", "Serve an editor with what check finds, over stdin and stdout")
}

// byCheckProgram is a command that deckhand-check has under the same name.
func (a *app) byCheckProgram(use, short string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, DisableFlagParsing: true}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := findProgram(checkProgram)
		if err != nil {
			return err
		}
		argv := append([]string{checkProgram}, a.globalFlags()...)
		return execProgram(path, append(append(argv, cmd.Name()), args...))
	}
	cmd.ValidArgsFunction = completeBy(checkProgram, cmd.Name())
	return cmd
}
