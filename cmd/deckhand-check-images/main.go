// Deckhand-check-images is deckhand-check without what reads manifests and starts sooner for it; `deckhand check` runs it
// where images are named.
package main

import (
	"os"

	"github.com/deckhand-engine/deckhand/internal/cli/checkcmd"
)

func main() {
	os.Exit(checkcmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, nil))
}
