package cli

import (
	"github.com/spf13/cobra"
)

// hardenProgram holds probe and harden; it edits Dockerfiles with what would slow the start of every container.
const hardenProgram = "deckhand-harden"

func newHarden(a *app) *cobra.Command {
	return a.byProgram(hardenProgram, "harden [OPTIONS] DIR|DOCKERFILE|IMAGE", "Take root away from a service, and prove that it still works")
}

func newProbe(a *app) *cobra.Command {
	return a.byProgram(hardenProgram, "probe [OPTIONS] IMAGE", "Show what an attacker could do in an image's containers")
}
