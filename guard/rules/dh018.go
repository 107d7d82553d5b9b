package rules

import (
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

func writableCode() Rule {
	return Rule{
		ID: "DH018", Name: "writable-code", Severity: guard.Warning, Check: checkWritableCode,
		Title: "The service may rewrite its own code",
	}
}

func checkWritableCode(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, step := range s.Steps {
		if f, ok := givenCode(s, step); ok {
			found = append(found, f)
		}
		if f, ok := openedPaths(step); ok {
			found = append(found, f)
		}
	}
	if s.Contents == nil || len(s.Contents.Writable) == 0 || startsRoot(s.User) {
		return found
	}
	var paths []string
	for _, file := range s.Contents.Writable {
		paths = append(paths, file.Path)
	}
	return append(found, guard.Finding{
		Where:   s.Where,
		Message: "the user it runs as may change programs and code: " + list(paths),
		Detail:  "who breaks into the service stays in it: what it starts next is what was written there",
	})
}

// givenCode reports a step that hands code to the very user that the service runs as.
func givenCode(s *guard.Subject, step guard.Step) (guard.Finding, bool) {
	severity, by, twice := guard.Info, "", ""
	var paths []string
	for _, g := range step.Gives {
		if !runsAs(s, g.Owner) || !isCode(g) {
			continue
		}
		paths, by = append(paths, g.Path), g.Owner
		if g.Recursive || g.Copy {
			severity = guard.Warning
		}
		if g.Recursive && !g.Copy {
			twice = "; chown -R also stores every file a second time"
		}
	}
	return guard.Finding{
		Severity: severity, Where: step.Where,
		Message: "gives " + list(paths) + " to " + short(by) + ", the user it runs as",
		Detail:  "who breaks into the service can rewrite its code" + twice,
		Hint:    "leave code to root and give the service the directories that it writes to",
	}, len(paths) > 0
}

// openedPaths reports a step that makes paths writable for everybody; code weighs more.
func openedPaths(step guard.Step) (guard.Finding, bool) {
	severity := guard.Info
	for _, p := range step.Opens {
		if !isData(p) {
			severity = guard.Warning
		}
	}
	return guard.Finding{
		Severity: severity, Where: step.Where,
		Message: "makes " + list(step.Opens) + " writable for every user",
		Detail:  "whatever runs in the container may change what lies there, and replace what others will read or run",
		Hint:    "give it to the one user who writes there",
	}, len(step.Opens) > 0
}

// runsAs reports whether an owner as written is the user that the subject starts as, or becomes.
func runsAs(s *guard.Subject, owner string) bool {
	owner, _, _ = strings.Cut(owner, ":")
	if owner == "" {
		return false
	}
	u := s.User
	if startsRoot(u) {
		return drops(s) && s.Drop != nil && is(owner, s.Drop.To, userPart(s.Drop.Spec))
	}
	return u.Missing == "" && is(owner, u.UID, u.UserPart(), u.Name)
}

// is reports whether an owner is one of the names or the number.
func is(owner string, id guard.ID, names ...string) bool {
	return slices.Contains(names, owner) || id.Known() && id.String() == owner
}

func userPart(spec string) string {
	name, _, _ := strings.Cut(spec, ":")
	return name
}

// isCode reports whether what is handed over holds programs rather than what they write.
func isCode(g guard.Ownership) bool {
	if isData(g.Path) {
		return false
	}
	if home, below := inHome(g.Path); home {
		return g.Copy && below != "" && !strings.HasPrefix(below, ".") // a home directory is its user's
	}
	return true
}
