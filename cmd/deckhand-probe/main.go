// Deckhand-probe tries what an attacker would who can execute code in a container; `deckhand probe` runs it there.
package main

import (
	"os"

	"github.com/deckhand-engine/deckhand/guard/probe/battery"
)

func main() {
	os.Exit(battery.Main(os.Args, os.Stdout, os.Stderr))
}
