package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// suggestedUID is beyond what distributions hand out and below what a container's user namespace lacks.
const suggestedUID = "9000"

// startRule is the rule that describes the user a subject starts as: one of DH001–DH004, DH008, DH009, DH026.
// It is empty where that user is certainly not root, and where Kubernetes verifies it (DH027 judges then).
func startRule(s *guard.Subject) string {
	u := s.User
	switch {
	case u.Missing != "":
		return "DH008"
	case s.RunAsNonRoot != nil:
		return ""
	case !startsRoot(u):
		if u.NotRoot() {
			return ""
		}
		return "DH026"
	case drops(s) && s.Drop.Certain:
		return "DH009"
	case u.UserPart() == "":
		return "DH001"
	case !u.Named():
		return "DH002"
	case u.UserPart() == "root":
		return "DH003"
	}
	return "DH004"
}

// startsRoot reports whether the user is root, be it only that it is called so: no image gives root another uid.
func startsRoot(u guard.User) bool {
	return u.Root() || u.Missing == "" && !u.UID.NotRoot() && u.UserPart() == "root"
}

// drops reports whether the start-up program, on some ways at least, becomes somebody who is not root.
func drops(s *guard.Subject) bool { return s.Drop != nil && !s.Drop.To.Root() && s.Drop.Spec != "root" }

// dropped says who gives up root, and for whom: "gosu in /entrypoint.sh becomes redis".
func dropped(d *guard.Drop) string {
	by, to := cmp.Or(short(d.By), "the start command"), short(d.Spec)
	if d.Script != "" {
		by += " in " + short(d.Script)
	}
	if to == "" {
		to = "uid " + d.To.String()
	}
	return by + " becomes " + to
}

// setting is how a kind of document writes a user.
func setting(kind guard.Kind, spec string) string {
	switch kind {
	case guard.KindCompose:
		return "user: " + short(spec)
	case guard.KindKubernetes:
		return apart(spec, "runAsUser: ", "runAsGroup: ")
	case guard.KindQuadlet, guard.KindUnit:
		return apart(spec, "User=", "Group=")
	default:
		return "USER " + short(spec)
	}
}

// apart is user and group where they are settings of their own.
func apart(spec, user, group string) string {
	name, of, both := strings.Cut(spec, ":")
	switch {
	case !both:
		return user + short(name)
	case name == "":
		return group + short(of)
	}
	return user + short(name) + ", " + group + short(of)
}

// origin says where the user is decided: "USER 0:0", "base image corp/base sets USER 0", "USER $U, which is 0".
func origin(s *guard.Subject) string {
	u := s.User
	if u.Inherited {
		return cmp.Or(cut(u.From, maxText), "the image") + " sets USER " + short(u.Spec)
	}
	if u.Raw != "" && u.Raw != u.Spec {
		return setting(s.Kind, u.Raw) + ", which is " + cmp.Or(short(u.Spec), "empty")
	}
	return setting(s.Kind, u.Spec)
}

// rootFinding is what DH001–DH004 report, given why the subject starts as root.
func rootFinding(s *guard.Subject, why string) []guard.Finding {
	f := guard.Finding{
		Message: "starts as root: " + why,
		Where:   s.User.Where,
		Fixes:   unprivilegedFix(s),
		Hint:    proof(s),
	}
	if drops(s) {
		f.Detail = dropped(s.Drop) + ", but not on every way through it: what does not pass there stays root"
	}
	return []guard.Finding{f}
}

// unprivilegedFix makes the subject start as a user who is not root. The group is named as well where it can be:
// a number without a passwd entry has root's.
func unprivilegedFix(s *guard.Subject) []guard.Fix {
	if writesGroup(s) {
		return userFix(s, suggestedUID+":"+suggestedUID)
	}
	return userFix(s, suggestedUID)
}

// writesGroup reports whether the place for the user takes a group behind a colon.
func writesGroup(s *guard.Subject) bool {
	return s.Kind == guard.KindDockerfile || s.Kind == guard.KindCompose
}

// userFix writes another user where the document sets it, or would.
func userFix(s *guard.Subject, user string) []guard.Fix {
	if s.UserSlot == nil {
		return nil
	}
	edit := s.UserSlot.Put(user)
	text := strings.Join(strings.Fields(edit.Text), " ")
	title := "write " + text + " instead"
	if at := edit.At; at.Line == cmp.Or(at.EndLine, at.Line) && at.Column == cmp.Or(at.EndColumn, at.Column) {
		line := at.Line
		if strings.HasPrefix(edit.Text, "\n") || strings.HasPrefix(edit.Text, "\r\n") { // behind what is there
			line++
		}
		title = fmt.Sprintf("add %s at line %d", text, line)
	}
	return []guard.Fix{{Title: title, Edits: []guard.Edit{edit}}}
}

// proof is the command that finds out whether a subject works without root.
func proof(s *guard.Subject) string {
	switch s.Kind {
	case guard.KindDockerfile:
		return "prove it: deckhand harden " + short(cmp.Or(s.Where.Path, s.User.Where.Path, "."))
	case guard.KindImage:
		return startImage(cmp.Or(s.Image, s.Where.Path))
	case guard.KindContainer:
		return "run its image as an unprivileged user: deckhand run -u " + suggestedUID + " " + short(cmp.Or(s.Image, "IMAGE"))
	case guard.KindCompose:
		if s.Build != "" {
			return "prove it: deckhand harden " + short(s.Build)
		}
	case guard.KindUnit:
		return "try it: systemd-run --pty -p DynamicUser=yes with the command of ExecStart="
	default:
	}
	if s.Image != "" {
		return "try it: deckhand run -u " + suggestedUID + " " + short(s.Image)
	}
	return ""
}

// startImage is how to start an image as another user; of one that cannot be started from where it is, in words.
func startImage(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "docker://"), "store:")
	if scheme, _, found := strings.Cut(name, ":"); found && slices.Contains([]string{"docker-archive", "oci", "oci-archive", "containers-storage"}, scheme) {
		return "say -u " + suggestedUID + " wherever it is started"
	}
	return "run it as an unprivileged user: deckhand run -u " + suggestedUID + " " + short(name)
}
