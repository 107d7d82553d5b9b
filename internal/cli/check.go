package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/programs"
)

// The checks are programs of their own because what they read Dockerfiles and manifests with would slow the start of
// every container. What they read manifests with slows even the check of an image, so there is a program without it.
const (
	checkProgram  = "deckhand-check"
	imagesProgram = "deckhand-check-images" // becomes checkProgram where it is given more than images
)

func newCheck(a *app) *cobra.Command {
	cmd := a.byProgram(checkProgram, "check [OPTIONS] [PATH|IMAGE|CONTAINER|-]...", "Find what will run as root, and what else it should not be allowed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		program := checkProgram
		if slices.ContainsFunc(args, guard.IsImageAddress) {
			if _, err := programs.Find(imagesProgram); err == nil {
				program = imagesProgram
			}
		}
		return a.become(program, cmd.Name(), args)
	}
	return cmd
}

func newLsp(a *app) *cobra.Command {
	return a.byProgram(checkProgram, "lsp", "Serve an editor with what check finds, over stdin and stdout")
}
