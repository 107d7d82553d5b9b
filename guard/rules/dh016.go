package rules

import "github.com/deckhand-engine/deckhand/guard"

func privilegeEscalation() Rule {
	return Rule{
		ID: "DH016", Name: "privilege-escalation", Severity: guard.Warning, Check: checkPrivilegeEscalation,
		Title: "Setuid programs are allowed to work, by name",
	}
}

func checkPrivilegeEscalation(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, g := range s.GrantsOf(guard.GrantEscalation) {
		setting := "no_new_privs is switched off"
		if s.Kind == guard.KindKubernetes {
			setting = "allowPrivilegeEscalation is true"
		}
		found = append(found, guard.Finding{
			Message: setting + ": setuid programs and file capabilities give more rights than the user has",
			Where:   g.Where,
		})
	}
	return found
}
