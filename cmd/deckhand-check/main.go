// Deckhand-check finds what will run as root; `deckhand check` and `deckhand lsp` run it.
package main

import (
	"os"

	"github.com/deckhand-engine/deckhand/guard/load"
	"github.com/deckhand-engine/deckhand/internal/cli/checkcmd"
)

func main() {
	os.Exit(checkcmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, load.Texts{}))
}
