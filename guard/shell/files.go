package shell

import (
	"errors"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// The files that hold users.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

// fileOf is the database's name of a file.
func fileOf(p string) string { return path.Base(p) }

// isDefaults reports whether a file says what ids useradd, adduser and the like choose.
func isDefaults(p string) bool {
	return p == "/etc/login.defs" || p == "/etc/adduser.conf" || p == "/etc/default/useradd"
}

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
func (e *effects) writes(_ *machine, w write) { e.wrote(w) }

// wrote takes in a file that gets new content.
func (e *effects) wrote(w write) {
	switch {
	case isSudoers(w.path):
		e.out.Step.Sudoers = e.out.Step.Sudoers || frees(w.content)
	case isDefaults(w.path):
		e.change(users.Change{Kind: users.Defaults})
	case w.path == passwdFile || w.path == groupFile:
		if !w.appends {
			e.change(users.Change{Kind: users.Emptied, Name: fileOf(w.path)})
		}
		for line := range strings.Lines(w.content) {
			e.line(w.path, line)
		}
	}
}

// line is one of etc/passwd or etc/group, read as docker reads it.
func (e *effects) line(file, line string) {
	text := strings.TrimSpace(line)
	if text == "" || text[0] == '#' && file == groupFile {
		return
	}
	parts := strings.Split(text, ":")
	if !known(parts[0]) || len(parts) < 3 && !known(text) {
		e.change(users.Change{Kind: kindOf(file), Why: "a line that is not known is written to " + file})
		return
	}
	for len(parts) < 7 {
		parts = append(parts, "")
	}
	c := users.Change{Kind: kindOf(file), Name: parts[0], Unended: !strings.HasSuffix(line, "\n") && known(line)}
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

// lineID reads an id of a file, where what is no number is 0, and what is out of range nobody's.
func lineID(text, file string) (guard.ID, string) {
	if !known(text) {
		return guard.AnyID(), "its line in " + file + " has " + shown(text) + ", which is not known"
	}
	n, err := strconv.Atoi(text)
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		return guard.ID{}, ""
	case n < 0 || n > guard.MaxID:
		return guard.Exactly(math.MaxUint32), ""
	}
	return guard.Exactly(uint32(n)), ""
}

// touches looks for the files of users and of sudo among a program's words.
func (e *effects) touches(m *machine, base string, c call) {
	for i, a := range c.argv[1:] {
		if base == "dd" {
			a = strings.TrimPrefix(a, "of=")
		}
		p := m.resolve(a)
		if isSudoers(p) && changes(base, c.argv, i+1) && frees(strings.Join(c.argv, " ")) {
			e.out.Step.Sudoers = true
		}
		for _, f := range touched(p) {
			if changes(base, c.argv, i+1) {
				e.changed(base, f)
			}
		}
	}
	if into := directory(base, c.argv); into != "" {
		e.filled(base, m.resolve(into), c.argv[1:])
	}
}

// userFiles are those that decide who users are.
func userFiles() []string {
	return []string{passwdFile, groupFile, "/etc/login.defs", "/etc/adduser.conf", "/etc/default/useradd"}
}

// touched are the files that a word may name.
func touched(p string) []string {
	if !strings.HasPrefix(p, "/etc/") {
		return nil
	}
	var files []string
	for _, f := range userFiles() {
		braces := strings.HasPrefix(p, "/etc/{") && strings.Contains(p, path.Base(f))
		if p == f || braces || strings.ContainsAny(p, "*?[") && glob(p, f) {
			files = append(files, f)
		}
	}
	return files
}

// changed is a file that a program writes whose output is not known.
func (e *effects) changed(by, file string) {
	if isDefaults(file) {
		e.change(users.Change{Kind: users.Defaults})
		return
	}
	if by == "rm" || by == "unlink" {
		e.change(users.Change{Kind: users.Emptied, Name: fileOf(file)})
		return
	}
	e.change(users.Change{Kind: users.Replaced, Name: fileOf(file), Why: by + " changes " + file})
}

// directory is where a program that copies puts what it copies; empty: it copies nothing.
func directory(base string, argv []string) string {
	switch base {
	case "cp", "mv", "install", "ln", "rsync":
	default:
		return ""
	}
	o := parseOptions("t|target-directory: m|mode: o|owner: g|group: S|suffix:", argv[1:], false)
	if into, ok := o.last("t"); ok {
		return into
	}
	if len(o.operands) < 2 {
		return ""
	}
	return o.operands[len(o.operands)-1]
}

// filled looks for the files of users among those that are copied into a directory.
func (e *effects) filled(by, dir string, words []string) {
	for _, w := range words {
		for _, f := range userFiles() {
			if path.Base(w) == path.Base(f) && path.Dir(f) == dir {
				e.changed(by, f)
			}
		}
	}
	contents := slices.ContainsFunc(words, func(w string) bool {
		return clean(w) != dir && (strings.HasSuffix(w, "/.") || strings.HasSuffix(w, "/*") || strings.HasSuffix(w, "/") || path.Base(w) == "etc")
	})
	if contents && (dir == "/" || dir == "/etc") {
		e.stranger(by + " to " + dir)
	}
}

// changes reports whether a program changes the file that is the word at that place.
func changes(base string, argv []string, at int) bool {
	switch base {
	case "sed", "perl":
		return slices.ContainsFunc(argv[1:], func(a string) bool { return inPlace(base, a) })
	case "awk", "gawk":
		return slices.Contains(argv, "inplace")
	case "cp", "mv", "install", "ln", "rsync":
		return at == len(argv)-1 || base == "mv"
	case "rm", "dd", "patch", "unlink", "truncate", "visudo", "vipw", "sponge":
		return true
	case "curl", "wget":
		return strings.HasPrefix(argv[at-1], "-")
	}
	return classOf(base) == stranger
}

// inPlace reports whether an option of sed or perl says that the files are changed.
func inPlace(base, option string) bool {
	if strings.HasPrefix(option, "--in-place") {
		return true
	}
	letters, ok := strings.CutPrefix(option, "-")
	if !ok {
		return false
	}
	before, _, ok := strings.Cut(letters, "i")
	without := "nrEsuz"
	if base == "perl" {
		without = "pnlwa0"
	}
	return ok && strings.Trim(before, without) == ""
}

// inline looks into the code that an interpreter is given as an argument. It is not followed: what speaks of users
// may do anything to them.
func (e *effects) inline(base string, args []string) {
	switch strings.TrimRight(base, "0123456789.") {
	case "perl", "python", "ruby", "node", "php", "awk", "gawk", "mawk", "lua", "pypy", "Rscript", "expect", "tclsh":
	case "sed":
		e.mentioned(base, args, "w ")
		return
	default:
		return
	}
	for _, a := range args {
		if strings.HasPrefix(a, "/") || !strings.ContainsAny(a, "(\"'{;") {
			continue // a file
		}
		e.mentioned(base, []string{a}, "")
		if strings.Contains(a, "user") || strings.Contains(a, "group") {
			e.stranger(base)
		}
	}
}

// mentioned takes the files of users for changed that stand in the code behind a word.
func (e *effects) mentioned(base string, code []string, behind string) {
	for _, f := range userFiles() {
		if slices.ContainsFunc(code, func(c string) bool { return strings.Contains(c, behind+f) }) {
			e.changed(base, f)
		}
	}
}
