package rules

import "github.com/deckhand-engine/deckhand/guard"

func rootAlias() Rule {
	return Rule{
		ID: "DH004", Name: "root-alias", Severity: guard.Error, Check: checkRootAlias,
		Title: "The user has another name, and uid 0",
	}
}

func checkRootAlias(s *guard.Subject, _ guard.Settings) []guard.Finding {
	if startRule(s) != "DH004" {
		return nil
	}
	return rootFinding(s, origin(s)+", and the passwd file gives "+short(s.User.UserPart())+" uid 0")
}
