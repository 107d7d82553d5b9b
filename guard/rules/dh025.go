package rules

import "github.com/deckhand-engine/deckhand/guard"

func podSecurityRestricted() Rule {
	return Rule{
		ID: "DH025", Name: "pod-security-restricted", Severity: guard.Warning,
		Title: "Forbidden by the Pod Security Standard restricted",
		Check: func(s *guard.Subject, _ guard.Settings) []guard.Finding { return violations(s, "restricted") },
	}
}
