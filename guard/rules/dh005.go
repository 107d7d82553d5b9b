package rules

import "github.com/deckhand-engine/deckhand/guard"

func rootGroup() Rule {
	return Rule{
		ID: "DH005", Name: "root-group", Severity: guard.Warning, Check: checkRootGroup,
		Title: "The user is not root, but its group is",
	}
}

func checkRootGroup(s *guard.Subject, _ guard.Settings) []guard.Finding {
	u := s.User
	if u.Missing != "" || startsRoot(u) || !u.GID.Root() || !u.GroupSet && !u.UID.NotRoot() {
		return nil
	}
	message := "starts with gid 0, root's group: " + origin(s)
	f := guard.Finding{Where: u.Where, Detail: "whatever root's group may read or write is open to it"}
	switch {
	case u.GroupSet:
		f.Message = message
	case u.NoEntry:
		f.Severity = guard.Info
		f.Message = message + ", which has no passwd entry to give it another"
	default:
		f.Message = message + ", whose passwd entry says so"
	}
	f.Fixes = groupFix(s)
	return []guard.Finding{f}
}

// groupFix gives the user a group of its own, of the same number.
func groupFix(s *guard.Subject) []guard.Fix {
	if u := s.User; writesGroup(s) && u.UID.Known() && !u.UID.Root() {
		return userFix(s, u.UserPart()+":"+u.UID.String())
	}
	return nil
}
