package rules

import "github.com/deckhand-engine/deckhand/guard"

func missingUser() Rule {
	return Rule{
		ID: "DH008", Name: "missing-user", Severity: guard.Error, Check: checkMissingUser,
		Title: "The user does not exist, so nothing will start",
	}
}

func checkMissingUser(s *guard.Subject, _ guard.Settings) []guard.Finding {
	if startRule(s) != "DH008" {
		return nil
	}
	f := guard.Finding{
		Message: "will not start: " + origin(s) + " (" + cut(s.User.Missing, maxText) + ")",
		Detail:  "a name is looked up in the image's own passwd and group files, and nothing before that line makes it",
		Where:   s.User.Where,
		Hint:    "create the user in the image, or write a number, which needs no entry",
	}
	if s.User.Named() {
		f.Fixes = unprivilegedFix(s)
	}
	return []guard.Finding{f}
}
