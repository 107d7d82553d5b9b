// Package guard is the vocabulary of the checks: what is looked at, what is known about it, what was found.
//
// A [Document] is one input: a Dockerfile, a manifest, a unit, an image. It declares [Subject]s, the things that
// will run, with every fact that a rule may ask for, each with its place in the document. Loaders
// (guard/load/...) make documents, rules (guard/rules) read subjects and report [Finding]s. Nothing here prints,
// opens files or talks to anybody.
//
// The zero value of [User] is root, as it is for docker: nobody set a user.
package guard

import (
	"context"
	"fmt"
)

// Kind says what a document is, and a subject of it.
type Kind string

// The kinds.
const (
	KindDockerfile Kind = "dockerfile"
	KindImage      Kind = "image"
	KindContainer  Kind = "container" // a container in deckhand's store
	KindCompose    Kind = "compose"
	KindKubernetes Kind = "kubernetes"
	KindQuadlet    Kind = "quadlet"
	KindUnit       Kind = "unit" // a systemd service
)

// Location is a part of a document. Lines and columns count from 1, columns in bytes; the end is exclusive.
// Line 0 is the document as a whole, as of an image; Column 0 is the whole of the lines.
type Location struct {
	Path      string `json:"path"`
	Line      int    `json:"line"`
	Column    int    `json:"column,omitempty"`
	EndLine   int    `json:"endLine,omitempty"`
	EndColumn int    `json:"endColumn,omitempty"`
}

// String is PATH, PATH:LINE or PATH:LINE:COLUMN.
func (l Location) String() string {
	switch {
	case l.Line == 0:
		return l.Path
	case l.Column == 0:
		return fmt.Sprintf("%s:%d", l.Path, l.Line)
	}
	return fmt.Sprintf("%s:%d:%d", l.Path, l.Line, l.Column)
}

// Document is one input that was read.
type Document struct {
	Path     string // as the user would type it: a path, "-", "docker://…"
	Kind     Kind
	Source   []byte // for excerpts and edits; nil where there is no text, as of an image
	Subjects []*Subject
	Findings []Finding // sorted by place, then rule
	Ignored  []Ignored // found, and waived
	Err      error     // why it could not be read or checked; SyntaxError where a line is known
}

// SyntaxError is an input that cannot be read as what it is.
type SyntaxError struct {
	Line int // 1-based
	Text string
}

// Error is the text with its line.
func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Source is an input to be loaded.
type Source struct {
	Path string // as the user would type it
	File string // the file on disk, to resolve relative names against; empty: stdin
	Data []byte
}

// Env is what loaders ask for what a document does not say itself. Its zero value knows nothing.
type Env struct {
	Images Images            // nil: base images and images of services are unknown
	Args   map[string]string // --build-arg
	Target string            // --target: the stage of a Dockerfile that is built; empty: the last
}

// Images finds images by reference, wherever they are. Implementations may be called by several goroutines and
// remember what they found.
type Images interface {
	// Image returns what is known of the image. The error says why nothing is, in words that fit behind
	// "base image X is not known: ".
	Image(ctx context.Context, name string) (*Image, error)
}
