package rules

import (
	"cmp"

	"github.com/deckhand-engine/deckhand/guard"
)

func noUser() Rule {
	return Rule{
		ID: "DH001", Name: "no-user", Severity: guard.Error, Check: checkNoUser,
		Title: "No user is set: root because nobody said otherwise",
	}
}

func checkNoUser(s *guard.Subject, _ guard.Settings) []guard.Finding {
	if startRule(s) != "DH001" {
		return nil
	}
	if filesOnly(s) {
		return []guard.Finding{{
			Severity: guard.Info, Where: s.User.Where, Message: "nothing is said to start; what does, starts as root: " + nobody(s),
		}}
	}
	return rootFinding(s, nobody(s))
}

// filesOnly reports whether an image made from nothing says nothing that could start: it is meant to be copied from, or
// to be written to a directory by docker build --output.
func filesOnly(s *guard.Subject) bool {
	return s.Kind == guard.KindDockerfile && s.Image == "" && len(s.Command.Args) == 0 && len(s.Ports) == 0
}

// nobody says what was looked at without finding a user.
func nobody(s *guard.Subject) string {
	u := s.User
	switch {
	case u.Spec != "": // ":audio"
		return origin(s) + ", which names a group and no user"
	case u.Raw != "":
		return setting(s.Kind, u.Raw) + " expands to nothing"
	}
	image := "and its image sets none"
	if name := cmp.Or(s.Image, s.Build); name != "" {
		image = "and " + short(name) + " sets none"
	}
	switch s.Kind {
	case guard.KindDockerfile:
		if s.Image == "" {
			image = "and scratch has none"
		}
		return "no stage sets USER, " + image
	case guard.KindCompose:
		return "the service sets no user:, " + image
	case guard.KindKubernetes:
		return "neither the pod nor the container sets runAsUser, " + image
	case guard.KindQuadlet:
		return "[Container] sets no User=, " + image
	case guard.KindUnit:
		return "[Service] sets no User="
	default:
		return "the image sets no USER"
	}
}
