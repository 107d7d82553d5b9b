package shell

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// file is a program that changes files, their modes or owners.
func (e *effects) file(m *machine, name string, c call) {
	args := c.argv[1:]
	switch name {
	case "chmod":
		e.chmod(m, args)
	case "chown", "chgrp":
		e.chown(m, name, args)
	case "setcap":
		e.setcap(m, args)
	case "install":
		e.installFile(m, args)
	case "mkdir":
		e.mkdir(m, args)
	case "rm", "unlink":
		e.rm(m, args)
	case "curl", "wget":
		e.fetch(m, name, args)
	case "tee":
		e.tee(m, c)
	case "visudo":
		if c.stdin != nil {
			e.out.Step.Sudoers = e.out.Step.Sudoers || frees(*c.stdin)
		}
	}
}

// modeBits are the bits of a mode that matter.
type modeBits struct {
	setuid, setgid, othersWrite, sticky bool
}

// parseMode reads an octal or a symbolic mode.
func parseMode(text string) (modeBits, bool) {
	if !known(text) || text == "" {
		return modeBits{}, false
	}
	if n, err := strconv.ParseUint(text, 8, 32); err == nil {
		return modeBits{n&0o4000 != 0, n&0o2000 != 0, n&0o2 != 0, n&0o1000 != 0}, true
	}
	var b modeBits
	for clause := range strings.SplitSeq(text, ",") {
		if !b.clause(clause) {
			return modeBits{}, false
		}
	}
	return b, true
}

// clause reads one of a symbolic mode: who, then operators with permissions.
func (b *modeBits) clause(clause string) bool {
	at := strings.IndexAny(clause, "+-=")
	if at < 0 || strings.Trim(clause[:at], "ugoa") != "" {
		return false
	}
	who := clause[:at]
	all := strings.Contains(who, "a")
	user := all || who == "" || strings.Contains(who, "u")
	groups := all || who == "" || strings.Contains(who, "g")
	others := all || strings.Contains(who, "o") // without who, the umask keeps others from writing
	for rest := clause[at:]; rest != ""; {
		end := 1
		for end < len(rest) && strings.IndexByte("+-=", rest[end]) < 0 {
			end++
		}
		op, perms := rest[0], rest[1:end]
		rest = rest[end:]
		set(&b.setuid, op, user, strings.Contains(perms, "s"))
		set(&b.setgid, op, groups, strings.Contains(perms, "s"))
		set(&b.othersWrite, op, others, strings.ContainsAny(perms, "wu"))
		set(&b.sticky, op, true, strings.Contains(perms, "t"))
	}
	return true
}

// set applies an operator to one bit.
func set(bit *bool, op byte, concerned, named bool) {
	switch {
	case !concerned:
	case op == '=':
		*bit = named
	case named:
		*bit = op == '+'
	}
}

func (e *effects) chmod(m *machine, args []string) {
	operands := args[:0:0]
	for i, a := range args {
		if a == "--" {
			operands = append(operands, args[i+1:]...)
			break
		}
		if strings.HasPrefix(a, "--reference") {
			return
		}
		// A mode may begin with a minus: -w.
		if len(a) > 1 && a[0] == '-' && (a[1] == '-' || strings.Trim(a[1:], "RvcfhHLP") == "") {
			continue
		}
		operands = append(operands, a)
	}
	if len(operands) < 2 {
		return
	}
	if b, ok := parseMode(operands[0]); ok {
		for _, p := range operands[1:] {
			e.moded(m, b, p)
		}
	}
}

// moded is a path that gets a mode.
func (e *effects) moded(m *machine, b modeBits, p string) {
	p = m.resolve(p)
	if b.setuid || b.setgid && programPath(p) {
		add(&e.out.Step.Setuid, p)
	}
	if b.othersWrite && !b.sticky && !everybodys(p) {
		add(&e.out.Step.Opens, p)
	}
}

// programPath reports whether a path is one of a program: on a directory, setgid only decides the group of what is
// made there.
func programPath(p string) bool {
	for _, dir := range []string{"/bin/", "/sbin/", "/libexec/"} {
		if strings.Contains(p, dir) {
			return true
		}
	}
	return false
}

// everybodys reports whether a path is everybody's to write by convention.
func everybodys(p string) bool {
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev", "/run/lock", "/proc"} {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}

func (e *effects) chown(m *machine, name string, args []string) {
	o := parseOptions("R|recursive c|changes f|silent|quiet v|verbose h|no-dereference dereference from: reference: preserve-root no-preserve-root H L P", args, false)
	if o.has("reference") || len(o.operands) < 2 {
		return
	}
	owner := o.operands[0]
	if name == "chgrp" {
		owner = ":" + owner
	}
	for _, p := range o.operands[1:] {
		e.give(m, owner, p, o.has("R"))
	}
}

// give is a path that gets an owner.
func (e *effects) give(m *machine, owner, p string, recursive bool) {
	owner = shown(owner)
	user, group, _ := strings.Cut(owner, ":")
	if rootsOwn(user) && (rootsOwn(group) || user != "") {
		return
	}
	g := guard.Ownership{Path: shown(m.resolve(p)), Owner: owner, Recursive: recursive}
	if len(e.out.Step.Gives) < maxEffects && !slices.Contains(e.out.Step.Gives, g) {
		e.out.Step.Gives = append(e.out.Step.Gives, g)
	}
}

// rootsOwn reports whether a name or number is root's, or none at all. "root.root" is an old form.
func rootsOwn(name string) bool {
	name, _, _ = strings.Cut(name, ".")
	n, ok := parseID(name)
	return name == "" || name == rootName || ok && n.Root()
}

// setcap takes pairs of capabilities and a file.
func (e *effects) setcap(m *machine, args []string) {
	var rest []string
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-q", "-v", "-f", "--":
		case "-n":
			i++
		case "-r":
			i++ // a file that loses its capabilities
		default:
			rest = append(rest, args[i])
		}
	}
	for i := 1; i < len(rest); i += 2 {
		if rest[i-1] != "-" && rest[i-1] != "" {
			add(&e.out.Step.Setuid, m.resolve(rest[i]))
		}
	}
}

func (e *effects) installFile(m *machine, args []string) {
	o := parseOptions("o|owner: g|group: m|mode: d|directory D t|target-directory: T|no-target-directory S|suffix: b c C p s v Z|context", args, false)
	targets := o.operands
	if dir, ok := o.last("t"); ok {
		targets = nil
		for _, p := range o.operands {
			targets = append(targets, dir+"/"+path.Base(p))
		}
	} else if !o.has("d") && len(targets) > 0 {
		targets = targets[len(targets)-1:]
	}
	bits, _ := parseMode(first(o.last("m")))
	for _, p := range targets {
		if owner, ok := o.last("o"); ok {
			if g, ok := o.last("g"); ok {
				owner += ":" + g
			}
			e.give(m, owner, p, false)
		}
		e.moded(m, bits, p)
	}
}

func (e *effects) mkdir(m *machine, args []string) {
	o := parseOptions("m|mode: p|parents v|verbose Z|context", args, false)
	if bits, ok := parseMode(first(o.last("m"))); ok {
		bits.setuid = false // means nothing on directories
		for _, p := range o.operands {
			e.moded(m, bits, p)
		}
	}
}

// rm tells of programs that are removed; a pattern also by the package managers and sudo that it matches.
func (e *effects) rm(m *machine, args []string) {
	for _, p := range parseOptions("", args, false).operands {
		p = m.resolve(p)
		if !programPath(p + "/") {
			continue
		}
		add(&e.out.Step.Removes, p)
		dir, pattern := path.Split(p)
		if !strings.ContainsAny(pattern, "*?[") || !known(p) || len(pattern) > 64 {
			continue
		}
		for _, name := range []string{
			"apt", "apt-get", "apt-cache", "apt-key", "apk", "dnf", "yum", "microdnf", "zypper", "pacman", "dpkg", "rpm", "sudo", "su",
		} {
			if glob(pattern, name) {
				add(&e.out.Step.Removes, dir+name)
			}
		}
	}
}

// fetch tells of programs that are downloaded by their name.
func (e *effects) fetch(m *machine, name string, args []string) {
	spec, option := "o|output: H|header: d|data: u|user: A|user-agent: x|proxy: retry: retry-delay: connect-timeout: max-time|m: X|request: e: E: F:", "o"
	if name == "wget" {
		spec, option = "O|output-document: P: o: a: U: t: T: header: user: password: tries: timeout: e:", "O"
	}
	p, ok := parseOptions(spec, args, false).last(option)
	if !ok || !known(p) {
		return
	}
	if p = m.resolve(p); programPath(p) {
		add(&e.out.Step.Installs, path.Base(p))
	}
}

// tee writes what it reads.
func (e *effects) tee(m *machine, c call) {
	o := parseOptions("a|append i p", c.argv[1:], false)
	text := open("…", true)
	if c.stdin != nil {
		text = *c.stdin
	}
	for _, p := range o.operands {
		e.wrote(write{path: m.resolve(p), content: text, appends: o.has("a")})
	}
}
