package rules

import (
	"fmt"

	"github.com/deckhand-engine/deckhand/guard"
)

func reservedUID() Rule {
	return Rule{
		ID: "DH006", Name: "reserved-uid", Severity: guard.Warning, Check: checkReservedUID,
		Title: "The uid is one of those that the system's own accounts have",
	}
}

// checkReservedUID does not ask units: what they start on the host is a system's service, and has such a uid.
func checkReservedUID(s *guard.Subject, settings guard.Settings) []guard.Finding {
	u, least := s.User, settings.LeastUser()
	if s.Kind == guard.KindUnit || u.Missing != "" || !u.UID.NotRoot() || u.UID.Most >= least {
		return nil
	}
	uid := u.UID.String()
	if u.Name != "" && u.Name != u.UserPart() {
		uid += " (" + short(u.Name) + ")"
	}
	return []guard.Finding{{
		Message: fmt.Sprintf("starts as uid %s, below %d and so reserved for the system: %s", uid, least, origin(s)),
		Detail:  "without a user namespace it is the same uid as a service's account on the host, whose files and processes it may then touch",
		Where:   u.Where,
		Hint:    fmt.Sprintf("choose a uid from %d up, or set the least uid in deckhand.yaml", least),
	}}
}
