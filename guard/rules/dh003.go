package rules

import "github.com/deckhand-engine/deckhand/guard"

func rootName() Rule {
	return Rule{
		ID: "DH003", Name: "root-name", Severity: guard.Error, Check: checkRootName,
		Title: "The user is root by name",
	}
}

func checkRootName(s *guard.Subject, _ guard.Settings) []guard.Finding {
	if startRule(s) != "DH003" {
		return nil
	}
	return rootFinding(s, origin(s))
}
