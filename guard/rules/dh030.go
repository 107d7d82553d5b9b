package rules

import "github.com/deckhand-engine/deckhand/guard"

// ignoreUnused is what guard/policy reports of comments and entries that waive findings.
func ignoreUnused() Rule {
	return Rule{
		ID: "DH030", Name: "ignore-unused", Severity: guard.Warning,
		Title: "An ignore gives no reason, or there is nothing that it ignores",
	}
}
