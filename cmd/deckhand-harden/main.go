// Deckhand-harden shows what root is good for, and takes it away; `deckhand probe` and `deckhand harden` run it.
package main

import (
	"os"

	"github.com/deckhand-engine/deckhand/internal/cli/hardencmd"
)

func main() {
	os.Exit(hardencmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
