package units

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/shell"
)

// The uids that systemd hands out to services with DynamicUser=.
const (
	dynamicLeast = 61184
	dynamicMost  = 65519
)

// service is a .service unit.
type service struct {
	*unit
	path   string // of the document
	name   string // without .service
	home   home
	dropIn bool // the unit itself is elsewhere
	env    map[string]string
}

// section is where a service's settings are.
const section = "Service"

// subjects are the service, what else it starts as root, and the containers that it runs.
func (s *service) subjects(ctx context.Context, env guard.Env) []*guard.Subject {
	s.env = s.environment()
	lines := s.commands("ExecStart")
	main := s.main(lines)
	if s.dropIn && len(lines) == 0 && main.User.Spec == "" && len(main.Grants) == 0 {
		return nil // it says nothing about the user
	}
	all := []*guard.Subject{main}
	if !main.User.Root() && !s.home.user {
		all = append(all, s.elevated()...)
	}
	for _, line := range lines {
		if c := s.runs(line); c != nil {
			all = append(all, c.subject(ctx, env))
		}
	}
	return all
}

// main is the service itself.
func (s *service) main(lines []commandLine) *guard.Subject {
	m := &guard.Subject{
		Kind: guard.KindUnit, Name: "service " + s.name, Where: s.where(),
		User: s.user(), UserSlot: s.slot(), Variables: s.variables(), Grants: s.grants(),
	}
	if len(lines) == 0 {
		return m
	}
	m.Command = lines[0].command()
	for _, line := range lines {
		if line.full() && !s.home.user && !m.User.Root() {
			m.User, m.UserSlot = elevatedUser("the prefix "+line.prefix+" of ExecStart=", line.prefixAt), nil
		}
	}
	if m.User.Root() {
		if m.Drop = shell.CommandDrop(m.Command.Args); m.Drop != nil {
			m.Drop.Where = m.Command.Where
		}
	}
	return m
}

// where is the service's section.
func (s *service) where() guard.Location {
	if l, ok := s.sections[section]; ok {
		return l
	}
	return guard.Location{Path: s.path, Line: 1}
}

// user is who the service starts as on the host.
func (s *service) user() guard.User {
	if s.home.user {
		return guard.User{
			Where: s.where(), From: "the user's service manager",
			UID: guard.ID{Least: 1, Most: guard.MaxID}, GID: guard.AnyID(),
		}
	}
	u := guard.User{Where: s.where()}
	set, ok := s.last(section, "User")
	if ok {
		u = hostUser(set.value)
		u.Where = set.all()
	} else if s.dropIn {
		u.UID, u.GID, u.Unknown = guard.AnyID(), guard.AnyID(), "the unit that this extends is elsewhere"
	}
	if at, dynamic := s.yes(section, "DynamicUser"); dynamic && u.Missing == "" && u.Spec != "root" && (u.Spec == "" || u.Named()) {
		u.UID, u.Unknown = guard.ID{Least: dynamicLeast, Most: dynamicMost}, ""
		u.GID = u.UID
		if !ok {
			u.Where = at
		}
	}
	s.group(&u)
	return u
}

// group is Group=.
func (s *service) group(u *guard.User) {
	set, ok := s.last(section, "Group")
	if !ok || u.Missing != "" {
		return
	}
	g := hostUser(set.value)
	if g.Missing != "" {
		u.Missing = strings.Replace(g.Missing, "user", "group", 1)
		u.Where = set.all()
		return
	}
	u.GroupSet, u.GID = true, g.UID
}

// hostUser reads User= or Group=: a name that is not root is another id than 0; the host's files are not read.
func hostUser(spec string) guard.User {
	u := guard.User{Spec: spec, GID: guard.AnyID()}
	switch n, err := strconv.ParseUint(spec, 10, 32); {
	case spec == "root" || spec == "0":
		u.GID = guard.Exactly(0)
	case spec == "%u": // in the system's manager this is root's name, and the next root's uid
		u.Raw, u.Spec, u.GID = spec, "root", guard.Exactly(0)
	case spec == "%U":
		u.Raw, u.Spec, u.GID = spec, "0", guard.Exactly(0)
	case specifier(spec) != "":
		u.UID, u.Unknown = guard.AnyID(), spec+" depends on what "+specifier(spec)+" stands for"
	case err == nil && validUID(spec, n):
		u.UID = guard.Exactly(uint32(n))
	case !validName(spec):
		u.Missing = "systemd refuses the user name " + strconv.Quote(spec)
	default:
		u.UID = guard.ID{Least: 1, Most: guard.MaxID}
	}
	return u
}

// validUID reports whether systemd takes a number for a uid: in its usual form, and not one that means none.
func validUID(spec string, n uint64) bool { return spec[0] != '0' && n != 0xffff && n != 0xffffffff }

// validName reports whether systemd takes a user's name: it is lenient, but numbers must be in their usual form.
func validName(name string) bool {
	if name == "" || len(name) > 256 || name == "." || name == ".." || name[0] == '-' {
		return false
	}
	if strings.Trim(name, "0123456789") == "" {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == ':' || r == '/' || r == 0x7f })
}

// slot is where User= is, or would be; nil where that is in a drop-in.
func (s *service) slot() *guard.Slot {
	if s.home.user {
		return nil
	}
	if set, ok := s.last(section, "User"); ok {
		if set.path != s.path {
			return nil
		}
		return &guard.Slot{At: set.all()}
	}
	return s.newLine(section)
}

// newLine is the place for User= below the header of a section.
func (u *unit) newLine(section string) *guard.Slot {
	header, ok := u.sections[section]
	if !ok {
		return nil
	}
	if header.EndLine == u.lines { // the header ends the file
		at := guard.Location{Path: header.Path, Line: header.EndLine, Column: header.EndColumn, EndLine: header.EndLine, EndColumn: header.EndColumn}
		return &guard.Slot{At: at, Before: "\nUser="}
	}
	at := guard.Location{Path: header.Path, Line: header.EndLine + 1, Column: 1, EndLine: header.EndLine + 1, EndColumn: 1}
	return &guard.Slot{At: at, Before: "User=", After: "\n"}
}

// elevated are the other commands of a service that start as root although the service does not.
func (s *service) elevated() []*guard.Subject {
	_, startOnly := s.yes(section, "PermissionsStartOnly")
	var all []*guard.Subject
	for _, key := range []string{"ExecCondition", "ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"} {
		for _, line := range s.commands(key) {
			by, at := "the prefix "+line.prefix+" of "+key+"=", line.prefixAt
			if !line.full() {
				if !startOnly {
					continue
				}
				by, at = "PermissionsStartOnly=", line.command().Where
			}
			m := &guard.Subject{
				Kind: guard.KindUnit, Name: "service " + s.name + ", " + key + " " + path.Base(line.words[0].text),
				Where: at, User: elevatedUser(by, at), Command: line.command(),
			}
			if m.Drop = shell.CommandDrop(m.Command.Args); m.Drop != nil {
				m.Drop.Where = m.Command.Where
			}
			all = append(all, m)
		}
	}
	return all
}

// elevatedUser is root, whatever User= says.
func elevatedUser(by string, at guard.Location) guard.User {
	return guard.User{Spec: "root", From: by, Inherited: true, Where: at}
}

// variables are those of Environment=.
func (s *service) variables() []guard.Variable {
	var all []guard.Variable
	for _, w := range allWords(s.list(section, "Environment")) {
		if name, value, ok := strings.Cut(w.text, "="); ok && name != "" {
			all = append(all, guard.Variable{Name: name, Value: value, Where: w.at})
		}
	}
	return all
}

// environment is what commands are expanded with; nil where files may say otherwise.
func (s *service) environment() map[string]string {
	if len(s.list(section, "EnvironmentFile")) > 0 {
		return nil
	}
	env := map[string]string{}
	for _, v := range s.variables() {
		env[v.Name] = v.Value
	}
	return env
}

// grants are what the service is given, or forgoes, on the host.
func (s *service) grants() []guard.Grant {
	var all []guard.Grant
	add := func(kind guard.GrantKind, value string, at guard.Location) {
		all = append(all, guard.Grant{Kind: kind, Value: value, Where: at})
	}
	s.capabilities(add)
	if set, ok := s.last(section, "NoNewPrivileges"); ok {
		if on, known := boolean(set.value); known && on {
			add(guard.GrantNoEscalation, "true", set.all())
		} else if known {
			add(guard.GrantEscalation, "true", set.all())
		}
	} else if at, dynamic := s.yes(section, "DynamicUser"); dynamic {
		add(guard.GrantNoEscalation, "true", at)
	}
	if at, private := s.yes(section, "PrivateUsers"); private {
		add(guard.GrantDropped, "ALL", at)
	}
	if set, ok := s.last(section, "ProtectSystem"); ok && set.value == "strict" {
		add(guard.GrantReadOnlyRoot, "true", set.all())
	}
	groups := allWords(s.list(section, "SupplementaryGroups"))
	if a, ok := s.last(section, "Group"); ok {
		groups = append(groups, a.words()...)
	}
	for _, w := range groups {
		if socket := socketOf(w.text); socket != "" {
			add(guard.GrantMount, socket, w.at)
		}
	}
	return all
}

// socketOf is the socket that a group's members may talk to, which makes them root.
func socketOf(group string) string {
	switch group {
	case "docker":
		return "/var/run/docker.sock"
	case "podman":
		return "/run/podman/podman.sock"
	}
	return ""
}

// capabilities are AmbientCapabilities=, which gives, and CapabilityBoundingSet=, which takes.
func (s *service) capabilities(add func(guard.GrantKind, string, guard.Location)) {
	for _, a := range s.list(section, "AmbientCapabilities") {
		if strings.HasPrefix(a.value, "~") { // all but these
			add(guard.GrantCapability, "ALL", a.all())
			continue
		}
		for _, w := range a.words() {
			add(guard.GrantCapability, capability(w.text), w.at)
		}
	}
	const key = "CapabilityBoundingSet"
	bounding := s.list(section, key)
	for i, a := range bounding {
		rest, but := strings.CutPrefix(a.value, "~")
		switch {
		case but:
			for name := range strings.FieldsSeq(rest) {
				add(guard.GrantDropped, capability(name), a.all())
			}
		case i == 0:
			add(guard.GrantDropped, "ALL", a.all())
		}
	}
	emptied := func(a assignment) bool { return a.section == section && a.key == key }
	if i := slices.IndexFunc(s.assignments, emptied); i >= 0 && len(bounding) == 0 { // assigned nothing: none is left
		add(guard.GrantDropped, "ALL", s.assignments[i].all())
	}
}
