package shell

import (
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// simple is a command of words.
func (m *machine) simple(c *syntax.CallExpr, s *syntax.Stmt) (flow, verdict) {
	return m.simpleReading(c, s, m.input(s))
}

// simpleReading runs a command with what it reads.
func (m *machine) simpleReading(c *syntax.CallExpr, s *syntax.Stmt, stdin *string) (flow, verdict) {
	if in := m.input(s); in != nil {
		stdin = in
	}
	if len(c.Args) == 0 {
		v := yes
		for _, a := range c.Assigns {
			v = m.assign(a)
		}
		m.redirect(s, "", false)
		return next, v
	}
	argv := m.fields(c.Args)
	if slices.ContainsFunc(s.Redirs, isOut) {
		text, ok := m.outputOf(argv, stdin)
		maybe := m.maybe
		if m.differs(argv) {
			m.maybe++
		}
		m.redirect(s, text, ok)
		m.maybe = maybe
	}
	if len(argv) == 0 {
		return next, yes
	}
	saved := map[string]string{}
	var unset []string
	for _, a := range c.Assigns {
		if a.Name == nil {
			continue
		}
		if old, ok := m.now.vars[a.Name.Value]; ok {
			saved[a.Name.Value] = old
		} else {
			unset = append(unset, a.Name.Value)
		}
		m.assign(a)
	}
	f, v := m.run(call{argv: argv, stdin: stdin})
	maps.Copy(m.now.vars, saved)
	for _, name := range unset {
		delete(m.now.vars, name)
	}
	return f, v
}

// differs reports whether a command is an echo that shells disagree about: which backslashes mean something, and
// whether there is a -e.
func (m *machine) differs(argv []string) bool {
	if len(argv) < 2 || argv[0] != "echo" || m.bash {
		return false
	}
	return strings.HasPrefix(argv[1], "-e") || slices.ContainsFunc(argv[1:], func(a string) bool { return strings.Contains(a, `\\`) })
}

// redirect tells of the files that a statement's output goes to.
func (m *machine) redirect(s *syntax.Stmt, text string, ok bool) {
	for _, r := range s.Redirs {
		if !isOut(r) {
			continue
		}
		content := text
		if !ok || r.N != nil && r.N.Value != "1" {
			content = open("…", true)
		}
		appends := r.Op == syntax.AppOut || r.Op == syntax.AppAll
		m.writes(m, write{path: m.resolve(m.text(r.Word)), content: content, appends: appends})
	}
}

// redirectCompound is redirect for blocks, loops and the like.
func (m *machine) redirectCompound(s *syntax.Stmt) {
	if !slices.ContainsFunc(s.Redirs, isOut) {
		return
	}
	text, ok := m.output(&syntax.Stmt{Cmd: s.Cmd})
	m.redirect(s, text, ok)
}

// resolve makes a path absolute, where the working directory is known.
func (m *machine) resolve(p string) string {
	p = quote(p)
	if p == "" || strings.HasPrefix(p, "/") || m.now.cwd == "" || p[0] == mark[0] {
		return clean(p)
	}
	return clean(m.now.cwd + "/" + p)
}

// clean is path.Clean for a path that may have open parts and end with a slash.
func clean(p string) string {
	p = strings.TrimPrefix(p, "./")
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	p = strings.ReplaceAll(p, "/./", "/")
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/.")
	}
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	return p
}

func (m *machine) set(name, text string) {
	if len(text) > maxWord {
		text = open("$"+name, true)
	}
	m.left -= len(text) / 1024
	delete(m.now.arrays, name)
	m.now.vars[name] = text
}

// assign sets a variable; the verdict is that of a command in its value.
func (m *machine) assign(a *syntax.Assign) verdict {
	if a.Name == nil || a.Naked {
		return yes
	}
	name := a.Name.Value
	switch {
	case a.Array != nil:
		m.assignArray(a)
		return yes
	case a.Index != nil:
		delete(m.now.vars, name)
		m.now.arrays[name] = []string{open("${"+name+"[@]}", false)}
		return yes
	}
	text := m.text(a.Value)
	if a.Append {
		old := m.variable(name, nil)
		before := old.joined()
		if old.unset {
			before = open("$"+name, true)
		}
		text = before + text
	}
	m.set(name, text)
	if known(text) {
		return yes
	}
	if a.Value != nil && len(a.Value.Parts) == 1 {
		if _, ok := a.Value.Parts[0].(*syntax.CmdSubst); ok {
			return perhaps
		}
	}
	return yes
}

func (m *machine) assignArray(a *syntax.Assign) {
	var words []string
	if a.Append {
		words = append(words, m.now.arrays[a.Name.Value]...)
	}
	for _, e := range a.Array.Elems {
		if e.Index != nil || e.Value == nil {
			words = []string{open("${"+a.Name.Value+"[@]}", false)}
			break
		}
		words = append(words, m.split(e.Value)...)
	}
	if len(words) > maxFields {
		m.lost = true
		words = words[:maxFields]
	}
	delete(m.now.vars, a.Name.Value)
	m.now.arrays[a.Name.Value] = words
}

// declare is export, local, readonly and declare.
func (m *machine) declare(c *syntax.DeclClause) {
	for _, a := range c.Args {
		if a.Name == nil {
			m.assignWords([]string{m.text(a.Value)})
			continue
		}
		if !a.Naked {
			m.assign(a)
		}
	}
}
