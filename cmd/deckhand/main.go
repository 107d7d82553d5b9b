// Deckhand builds, keeps and runs containers that never get root by accident.
package main

import (
	"os"

	"github.com/deckhand-engine/deckhand/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
