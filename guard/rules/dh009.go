package rules

import "github.com/deckhand-engine/deckhand/guard"

func rootAtStart() Rule {
	return Rule{
		ID: "DH009", Name: "root-at-start", Severity: guard.Warning, Check: checkRootAtStart,
		Title: "Root at the start, another user later",
	}
}

func checkRootAtStart(s *guard.Subject, _ guard.Settings) []guard.Finding {
	if startRule(s) != "DH009" {
		return nil
	}
	return []guard.Finding{{
		Message: "starts as root, then " + dropped(s.Drop),
		Detail:  "until then it has root's rights; a shell by exec and the health check have them always",
		Where:   s.User.Where,
		Fixes:   unprivilegedFix(s),
		Hint:    proof(s),
	}}
}
