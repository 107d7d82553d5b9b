package rules

import "github.com/deckhand-engine/deckhand/guard"

func podSecurityBaseline() Rule {
	return Rule{
		ID: "DH024", Name: "pod-security-baseline", Severity: guard.Error,
		Title: "Forbidden by the Pod Security Standard baseline",
		Check: func(s *guard.Subject, _ guard.Settings) []guard.Finding { return violations(s, "baseline") },
	}
}

// violations reports each violation of a level, so that the findings are what a namespace that enforces it says.
func violations(s *guard.Subject, level string) []guard.Finding {
	var found []guard.Finding
	for _, v := range s.Violations {
		if v.Level != level {
			continue
		}
		message := "Pod Security " + level + " forbids this: " + cut(v.Reason, maxText)
		if v.Detail != "" {
			message += " (" + cut(v.Detail, maxText) + ")"
		}
		found = append(found, guard.Finding{Message: message, Where: v.Where})
	}
	return found
}
