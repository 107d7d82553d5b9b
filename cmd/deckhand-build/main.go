// Deckhand-build builds images from Dockerfiles; `deckhand build` runs it.
package main

import (
	"os"

	"github.com/deckhand-engine/deckhand/internal/cli/buildcmd"
)

func main() {
	os.Exit(buildcmd.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
