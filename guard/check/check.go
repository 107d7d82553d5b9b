// Package check finds what arguments are, loads them, asks the rules, applies the policy, and hands out documents
// in order, several at work at once.
package check

import (
	"context"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

// Checker checks documents. It may be used by several goroutines.
type Checker struct {
	Env    guard.Env
	Policy *policy.Policy // nil: the default
}

// Text checks a text whose kind is found out by its name and content, or is kind where that is not empty.
func (c *Checker) Text(ctx context.Context, src guard.Source, kind guard.Kind) *guard.Document {
	return nil
}
