package rules

import (
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

func namedUser() Rule {
	return Rule{
		ID: "DH007", Name: "named-user", Severity: guard.Info, Check: checkNamedUser,
		Title: "The user is a name, which Kubernetes cannot verify",
	}
}

// checkNamedUser asks images and what makes them: in a manifest, DH027 knows whether Kubernetes will verify.
func checkNamedUser(s *guard.Subject, _ guard.Settings) []guard.Finding {
	u := s.User
	image := s.Kind == guard.KindDockerfile || s.Kind == guard.KindImage
	if !image || !u.Named() || u.Missing != "" || !u.UID.NotRoot() {
		return nil
	}
	f := guard.Finding{
		Message: "starts as a name, which Kubernetes cannot verify under runAsNonRoot: " + origin(s),
		Detail:  "the kubelet does not read the image's passwd file, so it refuses every name there",
		Where:   u.Where,
		Hint:    "write the number in USER",
	}
	if u.UID.Known() {
		f.Fixes = numberFix(s)
	}
	return []guard.Finding{f}
}

// numberFix writes the uid for the name. A number finds the same passwd entry, and with it group, groups and HOME,
// as long as no entry before it has the same uid.
func numberFix(s *guard.Subject) []guard.Fix {
	u := s.User
	spec := u.UID.String()
	if group := u.GroupPart(); group != "" {
		spec += ":" + group
	}
	fixes := userFix(s, spec)
	for i := range fixes {
		fixes[i].Safe = u.Name == u.UserPart() && u.Alias == "" && !chosenByArg(s)
	}
	return fixes
}

// chosenByArg reports whether a build argument may change the name or the number.
func chosenByArg(s *guard.Subject) bool {
	return strings.Contains(s.User.Raw, "$") || slices.ContainsFunc(s.Variables, func(v guard.Variable) bool {
		return v.Arg && (v.Value == s.User.UID.String() || v.Value == s.User.UserPart())
	})
}
