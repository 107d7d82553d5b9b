// Package rules holds the rules: one file each, and a page each in docs/rules. A rule reads a subject and reports
// findings; it knows nothing of the document's format.
package rules

import "github.com/deckhand-engine/deckhand/guard"

// Rule is one rule.
type Rule struct {
	ID       string         // "DH001"
	Name     string         // "no-user"
	Title    string         // "No USER: root because nobody said otherwise"
	Severity guard.Severity // unless the policy or the finding itself says otherwise
	// Check reports the findings of a subject. Rule and Subject of a finding are filled in by [Check]; so is a
	// severity that is left out.
	Check func(*guard.Subject, guard.Settings) []guard.Finding
}

// All lists the rules in the order of their ids.
func All() []Rule { return nil }

// ByID finds a rule by id or name, in any case.
func ByID(id string) (Rule, bool) { return Rule{}, false }

// Check asks every rule about a subject.
func Check(s *guard.Subject, settings guard.Settings) []guard.Finding { return nil }
