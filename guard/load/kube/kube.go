// Package kube loads.
package kube

import (
	"context"

	"github.com/deckhand-engine/deckhand/guard"
)

// Is reports whether a file of this name (base name) with this beginning is one.
func Is(name string, data []byte) bool { return false }

// Load reads the document into its subjects. The error is a *guard.SyntaxError where a line is to blame.
func Load(ctx context.Context, src guard.Source, env guard.Env) ([]*guard.Subject, error) {
	return nil, nil
}
