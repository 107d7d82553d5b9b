package rules

import (
	"cmp"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

func userUnknown() Rule {
	return Rule{
		ID: "DH026", Name: "user-unknown", Severity: guard.Warning, Check: checkUserUnknown,
		Title: "Which user it starts as cannot be worked out",
	}
}

func checkUserUnknown(s *guard.Subject, _ guard.Settings) []guard.Finding {
	if startRule(s) != "DH026" {
		return nil
	}
	u := s.User
	f := guard.Finding{Where: u.Where, Hint: "write the uid where it is decided"}
	why := cmp.Or(cut(u.Unknown, maxText), "nothing says which uid it has")
	if u.UserPart() == "" {
		f.Message = "no user is set here, so it may start as root: " + why
		f.Fixes = unprivilegedFix(s)
	} else {
		f.Message = "cannot tell which uid it starts as: " + origin(s) + ", and " + why
		if !strings.Contains(u.Raw+u.Spec, "$") {
			f.Severity = guard.Info // whoever names a user seldom means root
		}
	}
	if drops(s) {
		f.Detail = dropped(s.Drop)
	}
	return []guard.Finding{f}
}
