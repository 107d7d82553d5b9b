// Package report writes what was found, one document at a time: for people, editors and CI.
package report

import (
	"io"

	"github.com/deckhand-engine/deckhand/guard"
)

// Writer writes documents in the order they come and keeps none of them.
type Writer interface {
	Document(*guard.Document) error
	// Close writes what comes last. It does not close the underlying writer.
	Close(Summary) error
}

// Summary is what a check came to.
type Summary struct {
	Documents, Subjects, Ignored, Failed int // Failed: documents that could not be checked
	Errors, Warnings, Infos              int
}

// Options are what formats may ask for.
type Options struct {
	Colour  bool   // text: ANSI colours
	Width   int    // text: columns; 0: 80
	Version string // of deckhand
}

// New makes a writer: "text", "json", "sarif", "junit", "github", "gitlab", "checkstyle".
func New(format string, w io.Writer, o Options) (Writer, error) { return nil, nil }
