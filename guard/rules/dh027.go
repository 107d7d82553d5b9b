package rules

import "github.com/deckhand-engine/deckhand/guard"

func willNotStart() Rule {
	return Rule{
		ID: "DH027", Name: "will-not-start", Severity: guard.Error, Check: checkWillNotStart,
		Title: "runAsNonRoot forbids the user it has, so it will not start",
	}
}

// checkWillNotStart judges as the kubelet does: numbers by their value, names not at all.
func checkWillNotStart(s *guard.Subject, _ guard.Settings) []guard.Finding {
	u := s.User
	if s.RunAsNonRoot == nil || u.Missing != "" {
		return nil
	}
	f := guard.Finding{Where: s.RunAsNonRoot.Where, Fixes: unprivilegedFix(s)}
	switch {
	case u.Named():
		f.Message = "runAsNonRoot refuses to start it: " + origin(s) + ", a name, which the kubelet cannot verify"
		f.Hint = "set runAsUser to its number"
		if u.UID.Known() && !u.UID.Root() {
			f.Fixes = userFix(s, u.UID.String())
		}
	case u.Root() && u.UserPart() == "":
		f.Message = "runAsNonRoot refuses to start it: it would be root, since " + nobody(s)
	case u.Root():
		f.Message = "runAsNonRoot refuses to start it: " + origin(s) + ", which is root"
	default:
		return nil
	}
	return []guard.Finding{f}
}
