package rules

import "github.com/deckhand-engine/deckhand/guard"

func hostNamespace() Rule {
	return Rule{
		ID: "DH015", Name: "host-namespace", Severity: guard.Warning, Check: checkHostNamespace,
		Title: "A namespace of the host is shared",
	}
}

func checkHostNamespace(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, g := range s.GrantsOf(guard.GrantNamespace) {
		f := guard.Finding{
			Message: "shares the host's " + short(g.Value) + " namespace" + namespaceUse(g.Value),
			Where:   g.Where,
		}
		if g.Value == "pid" {
			f.Severity = guard.Error
		}
		found = append(found, f)
	}
	return found
}

// namespaceUse is what sharing a namespace opens.
func namespaceUse(name string) string {
	switch name {
	case "pid":
		return ": it sees, signals and, as the same user, reads every process of the host"
	case "network":
		return ": it reaches what listens on the host's loopback and in abstract sockets"
	case "ipc":
		return ": it reaches the shared memory of the host's processes"
	case "uts":
		return ": root in it can rename the host"
	case "user":
		return ": its root is the host's root, were it to get out"
	case "cgroup":
		return ": it sees the host's control groups"
	}
	return ""
}
