package rules

import "github.com/deckhand-engine/deckhand/guard"

func privileged() Rule {
	return Rule{
		ID: "DH013", Name: "privileged", Severity: guard.Error, Check: checkPrivileged,
		Title: "Privileged: every capability, every device, no filter",
	}
}

func checkPrivileged(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, g := range s.GrantsOf(guard.GrantPrivileged) {
		f := guard.Finding{
			Message: "is privileged: root in it is root on the host",
			Detail:  "it has every capability and every device of the host, and neither seccomp nor AppArmor nor SELinux hold it",
			Where:   g.Where,
			Hint:    "give the one device or capability that is needed instead",
		}
		if s.User.NotRoot() {
			f.Detail += "; that it starts as another user helps until a setuid program or a bug makes it root"
		}
		found = append(found, f)
	}
	return found
}
