package rules

import (
	"path"

	"github.com/deckhand-engine/deckhand/guard"
)

func sudo() Rule {
	return Rule{
		ID: "DH010", Name: "sudo", Severity: guard.Warning, Check: checkSudo,
		Title: "sudo is in the image: a way from the user to root",
	}
}

func checkSudo(s *guard.Subject, _ guard.Settings) []guard.Finding {
	if noNewPrivileges(s) {
		return nil
	}
	var found []guard.Finding
	open := map[guard.Location]bool{}
	for _, step := range s.Steps {
		if step.Sudoers {
			open[step.Where] = true
			found = append(found, guard.Finding{
				Severity: guard.Error, Where: step.Where,
				Message: "lets a user become root without a password",
				Detail:  "whoever runs code as that user is root one command later",
			})
		}
	}
	for _, in := range installed(s, becomesRoot) {
		if !open[in.where] {
			found = append(found, sudoFinding(in.where, "installs "+list(in.names)))
		}
	}
	if len(found) > 0 || s.Contents == nil {
		return found
	}
	for _, file := range s.Contents.Setuid {
		if becomesRoot(path.Base(file.Path)) {
			found = append(found, sudoFinding(s.Where, "holds "+short(file.Path)))
		}
	}
	return found
}

func sudoFinding(where guard.Location, what string) guard.Finding {
	return guard.Finding{
		Message: what + ", which turns a user into root",
		Detail:  "a container that must change users does so once, at its start: setpriv, gosu and su-exec are not setuid",
		Where:   where,
	}
}

// becomesRoot reports whether a package or program is made to turn users into root by configuration.
func becomesRoot(name string) bool {
	switch name {
	case "sudo", "sudo-rs", "sudo-ldap", "doas", "opendoas", "doas-sudo-shim":
		return true
	}
	return false
}

// noNewPrivileges reports whether setuid programs have no effect where the subject runs.
func noNewPrivileges(s *guard.Subject) bool {
	return len(s.GrantsOf(guard.GrantNoEscalation)) > 0
}
