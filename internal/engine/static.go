package engine

import (
	"fmt"

	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// checkStatic refuses what a program that needs a loader cannot do: to be executed inside a container, where
// the loader is another one or none.
func checkStatic(what string) error {
	if !runtime.NeedsLoader {
		return nil
	}
	return fmt.Errorf("%s needs a deckhand that is linked statically, and this one was built with cgo: "+
		"build it again with CGO_ENABLED=0", what)
}
