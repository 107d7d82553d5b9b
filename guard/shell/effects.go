package shell

import (
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// effects collects what a step does.
type effects struct {
	out      Effects
	virtuals map[string][]string // apk's virtual packages
}

var _ listener = (*effects)(nil)

// maxEffects bounds what one line may tell of a kind.
const maxEffects = 1000

// drops: what is run as another user can change none of what is looked for here.
func (e *effects) drops(*machine, guard.Drop, call) {}

func (e *effects) exits(*machine, bool) {}

func (e *effects) runs(m *machine, c call) verdict {
	name := c.argv[0]
	if !known(name) {
		e.stranger(shown(name))
		return yes
	}
	base := path.Base(name)
	switch classOf(base) {
	case account:
		e.account(m, base, c)
	case manager:
		e.manager(m, base, c)
	case mode:
		e.file(m, base, c)
	case starts:
		e.starts(base, c)
	case stranger:
		e.stranger(name)
	case tool, query, builder:
		if strings.HasPrefix(name, "./") && base != "configure" {
			e.stranger(name)
		}
	}
	e.touches(m, base, c)
	return succeeds(c.argv)
}

// starts: a shell whose line is not known, or that runs a script.
func (e *effects) starts(base string, c call) {
	switch {
	case isShell(base):
		if script, ok := shellScript(c.argv); ok {
			e.stranger(shown(script[0]))
		} else {
			e.stranger(base)
		}
	case base == "source" || base == ".":
		if len(c.argv) > 1 {
			e.stranger(shown(c.argv[1]))
		}
	}
}

// stranger is a program of which nobody knows what users it adds.
func (e *effects) stranger(name string) {
	if len(e.out.Users) > 0 {
		if last := e.out.Users[len(e.out.Users)-1]; last.Kind == users.AddUser && last.Name == "" && !last.HasUID {
			return // one says it all
		}
	}
	e.change(users.Change{Kind: users.AddUser, Why: name + " is run, which may add the user"})
}

func (e *effects) change(c users.Change) {
	if len(e.out.Users) < maxEffects {
		e.out.Users = append(e.out.Users, c)
	}
}

// add puts what is not there yet into a list.
func add(list *[]string, words ...string) {
	for _, w := range words {
		if w = shown(w); w != "" && len(*list) < maxEffects && !slices.Contains(*list, w) {
			*list = append(*list, w)
		}
	}
}

// The files that hold users.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

// fileOf is the database's name of a file.
func fileOf(p string) string { return path.Base(p) }

// isSudoers reports whether a file says who may use sudo or doas.
func isSudoers(p string) bool {
	return p == "/etc/sudoers" || strings.HasPrefix(p, "/etc/sudoers.d/") || p == "/etc/doas.conf" || strings.HasPrefix(p, "/etc/doas.d/")
}

// frees reports whether a rule asks for no password.
func frees(text string) bool {
	text = shown(text)
	return strings.Contains(text, "NOPASSWD") || strings.Contains(text, "!authenticate") ||
		strings.Contains(text, "permit") && strings.Contains(text, "nopass")
}

// writes is told of redirections.
func (e *effects) writes(m *machine, w write) { e.wrote(m, w) }

// wrote takes in a file that gets new content.
func (e *effects) wrote(m *machine, w write) {
	switch {
	case isSudoers(w.path):
		e.out.Step.Sudoers = e.out.Step.Sudoers || frees(w.content)
	case w.path == passwdFile || w.path == groupFile:
		if !w.appends {
			e.change(users.Change{Kind: users.Replaced, Name: fileOf(w.path), Why: "a RUN step writes " + w.path})
		}
		for line := range strings.Lines(w.content) {
			e.line(m, w.path, strings.TrimSuffix(line, "\n"))
		}
	}
}

// line is one of etc/passwd or etc/group.
func (e *effects) line(m *machine, file, line string) {
	if strings.TrimSpace(line) == "" || line[0] == '#' && file == groupFile {
		return
	}
	parts := strings.Split(line, ":")
	if !known(parts[0]) || len(parts) < 3 && !known(line) {
		e.change(users.Change{Kind: kindOf(file), Why: "a line that is not known is written to " + file})
		return
	}
	for len(parts) < 7 {
		parts = append(parts, "")
	}
	c := users.Change{Kind: kindOf(file), Name: strings.TrimSpace(parts[0]), Maybe: m.maybe > 0}
	if file == groupFile {
		c.GID, c.Why = lineID(parts[2], file)
		c.HasGID = true
		e.change(c)
		return
	}
	c.UID, c.Why = lineID(parts[2], file)
	c.GID, _ = lineID(parts[3], file)
	c.HasUID, c.HasGID = true, true
	c.Home = shown(parts[5])
	e.change(c)
}

func kindOf(file string) users.ChangeKind {
	if file == groupFile {
		return users.AddGroup
	}
	return users.AddUser
}

// lineID reads an id of a file, where what is no number is 0.
func lineID(text, file string) (guard.ID, string) {
	if !known(text) {
		return guard.AnyID(), "its line in " + file + " has " + shown(text) + ", which is not known"
	}
	id, _ := parseID(strings.TrimSpace(text))
	return id, ""
}

// touches looks for the files of users and of sudo among a program's words.
func (e *effects) touches(m *machine, base string, c call) {
	for i, a := range c.argv[1:] {
		p := m.resolve(a)
		if isSudoers(p) && changes(base, c.argv, i+1) && frees(strings.Join(c.argv, " ")) {
			e.out.Step.Sudoers = true
		}
		if (p == passwdFile || p == groupFile) && changes(base, c.argv, i+1) {
			e.change(users.Change{Kind: users.Replaced, Name: fileOf(p), Why: base + " changes " + p, Maybe: m.maybe > 0})
		}
	}
}

// changes reports whether a program changes the file that is the word at that place.
func changes(base string, argv []string, at int) bool {
	switch base {
	case "sed", "perl":
		return slices.ContainsFunc(argv[1:], func(a string) bool {
			return strings.HasPrefix(a, "-i") || strings.HasPrefix(a, "--in-place") || base == "perl" && strings.HasPrefix(a, "-p") && strings.Contains(a, "i")
		})
	case "cp", "mv", "install", "ln", "rsync":
		return at == len(argv)-1 || base == "mv"
	case "rm", "dd", "patch", "unlink", "truncate", "visudo", "vipw":
		return true
	case "curl", "wget":
		return strings.HasPrefix(argv[at-1], "-")
	}
	return false
}
