package check

import (
	"context"
	"errors"
	"slices"

	"github.com/deckhand-engine/deckhand/guard"
)

// maxRounds bounds how often a text is looked at again after a fix.
const maxRounds = 10

// Fix applies the safe fixes of a text, again and again until there is none left, and returns the text (src.Data
// where there was nothing to do) and what was fixed.
func (c *Checker) Fix(ctx context.Context, src guard.Source, kind guard.Kind) ([]byte, []guard.Finding, error) {
	var fixed []guard.Finding
	for range maxRounds {
		doc := c.Text(ctx, src, kind)
		if doc.Err != nil {
			return src.Data, fixed, doc.Err
		}
		data, done, err := applySafe(src.Data, doc.Findings)
		if err != nil || len(done) == 0 {
			return src.Data, fixed, err
		}
		src.Data = data
		fixed = append(fixed, done...)
	}
	return src.Data, fixed, nil
}

// Fixable reports whether a document has findings with a safe fix.
func Fixable(doc *guard.Document) bool {
	return slices.ContainsFunc(doc.Findings, func(f guard.Finding) bool { return safeFix(f) != nil })
}

// applySafe makes the safe fixes that do not stand in each other's way.
func applySafe(source []byte, findings []guard.Finding) ([]byte, []guard.Finding, error) {
	var edits []guard.Edit
	var fixed []guard.Finding
	data := source
	for _, f := range findings {
		fix := safeFix(f)
		if fix == nil {
			continue
		}
		more := append(slices.Clip(edits), fix.Edits...)
		changed, err := guard.Apply(source, more)
		switch {
		case errors.Is(err, guard.ErrOverlap): // the next round may find it again
			continue
		case err != nil:
			return nil, nil, err
		}
		edits, data = more, changed
		fixed = append(fixed, f)
	}
	return data, fixed, nil
}

// safeFix is the first fix of a finding that needs no proof.
func safeFix(f guard.Finding) *guard.Fix {
	for i := range f.Fixes {
		if f.Fixes[i].Safe {
			return &f.Fixes[i]
		}
	}
	return nil
}
