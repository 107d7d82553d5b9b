package checkcmd

import (
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/programs"
)

// wholeProgram reads texts too.
const wholeProgram = "deckhand-check"

// isText reports whether an argument may be something else than an image or a container.
func isText(arg string) bool { return !guard.IsImageAddress(arg) }

// becomeWhole has the program that reads texts do what this one was asked for.
func (o *options) becomeWhole() error {
	path, err := programs.Find(wholeProgram)
	if err != nil {
		return err
	}
	return programs.Become(path, append([]string{wholeProgram}, o.argv...))
}
