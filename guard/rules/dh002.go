package rules

import "github.com/deckhand-engine/deckhand/guard"

func rootUID() Rule {
	return Rule{
		ID: "DH002", Name: "root-uid", Severity: guard.Error, Check: checkRootUID,
		Title: "The user is root by number, however it is spelt",
	}
}

func checkRootUID(s *guard.Subject, _ guard.Settings) []guard.Finding {
	if startRule(s) != "DH002" {
		return nil
	}
	why := origin(s)
	if part := s.User.UserPart(); part != "0" {
		why += ", and " + short(part) + " is uid 0"
	}
	return rootFinding(s, why)
}
