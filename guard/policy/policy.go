// Package policy is deckhand.yaml, the comments that waive a finding, and the baseline of findings that were there
// before.
package policy

import "github.com/deckhand-engine/deckhand/guard"

// Policy says what counts. Its zero value is the default.
type Policy struct {
	Path     string         // where it was read; empty: the default
	Settings guard.Settings // for the rules
	FailOn   guard.Severity // the least severity that makes a check fail; Off: warning
}

// Judge applies the policy to a document that was checked: severities, waived paths, comments, baseline. Waived
// findings move to Ignored. It may be called by several goroutines for different documents.
func (p *Policy) Judge(doc *guard.Document) {}

// Excluded reports whether a walk leaves out the file or directory at path, as the user would type it.
func (p *Policy) Excluded(path string) bool { return false }
