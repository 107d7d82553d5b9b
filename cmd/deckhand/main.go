// Deckhand builds, keeps and runs containers that never get root by accident.
package main

import (
	"os"

	"github.com/deckhand-engine/deckhand/internal/cli"
	_ "github.com/deckhand-engine/deckhand/internal/cli/handover" // a build need not wait for the rest
)

func main() {
	os.Exit(cli.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
