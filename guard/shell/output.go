package shell

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// output is what a statement writes, where nothing but echo, printf, cat of a here-document and the like writes.
func (m *machine) output(s *syntax.Stmt) (string, bool) {
	if m.depth > maxDepth {
		return "", false
	}
	m.depth++
	defer func() { m.depth-- }()
	switch c := s.Cmd.(type) {
	case *syntax.Block:
		return m.outputs(c.Stmts)
	case *syntax.Subshell:
		return m.outputs(c.Stmts)
	case *syntax.CallExpr:
		if len(c.Args) == 0 || anyOut(s.Redirs) {
			return "", false
		}
		return m.outputOf(m.fields(c.Args), m.input(s))
	case *syntax.BinaryCmd:
		return m.outputOfList(c)
	}
	return "", false
}

// outputOfList is that of "a && b" and of "id -u || true".
func (m *machine) outputOfList(c *syntax.BinaryCmd) (string, bool) {
	switch c.Op {
	case syntax.AndStmt:
		return m.outputs([]*syntax.Stmt{c.X, c.Y})
	case syntax.OrStmt:
		return m.output(c.X)
	default:
		return "", false
	}
}

func (m *machine) outputs(list []*syntax.Stmt) (string, bool) {
	var b strings.Builder
	for _, s := range list {
		text, ok := m.output(s)
		if !ok || b.Len()+len(text) > maxWord {
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}

// anyOut reports whether output goes elsewhere; errors may.
func anyOut(redirs []*syntax.Redirect) bool {
	for _, r := range redirs {
		if isOut(r) && (r.N == nil || r.N.Value == "1") {
			return true
		}
	}
	return false
}

func isOut(r *syntax.Redirect) bool {
	switch r.Op {
	case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll, syntax.RdrInOut:
		return true
	default:
		return false
	}
}

// input is the here-document that a statement reads.
func (m *machine) input(s *syntax.Stmt) *string {
	for _, r := range s.Redirs {
		var text string
		switch r.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			text = m.hereDocument(r)
		case syntax.WordHdoc:
			text = m.text(r.Word) + "\n"
		default:
			continue
		}
		return &text
	}
	return nil
}

func (m *machine) hereDocument(r *syntax.Redirect) string {
	if r.Hdoc == nil {
		return ""
	}
	var f field
	m.double(&f, &syntax.DblQuoted{Parts: r.Hdoc.Parts})
	f.end()
	text := strings.Join(f.out, " ")
	if r.Op != syntax.DashHdoc {
		return text
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], "\t")
	}
	return strings.Join(lines, "\n")
}

// outputOf is what a program writes.
func (m *machine) outputOf(argv []string, stdin *string) (string, bool) {
	if len(argv) == 0 {
		return "", true
	}
	args := argv[1:]
	switch name := path.Base(argv[0]); name {
	case "echo":
		return m.echo(args), true
	case "printf":
		return printf(args)
	case "cat":
		return copied(args, stdin)
	case "id":
		return identity(args)
	case "whoami":
		return rootName, len(args) == 0
	case "basename", "dirname":
		return pathPart(name, args)
	case "pwd":
		return m.now.cwd, m.now.cwd != ""
	case "true", ":":
		return "", true
	}
	return "", false
}

// copied is what cat without a file says.
func copied(args []string, stdin *string) (string, bool) {
	if stdin == nil || len(args) > 1 || len(args) == 1 && args[0] != "-" {
		return "", false
	}
	return *stdin, true
}

// pathPart is what basename and dirname say.
func pathPart(name string, args []string) (string, bool) {
	switch {
	case len(args) != 1 || !known(args[0]):
		return "", false
	case name == "basename":
		return path.Base(args[0]), true
	}
	return path.Dir(args[0]), true
}

// rootName is uid 0's name.
const rootName = "root"

// identity is what id says to root.
func identity(args []string) (string, bool) {
	var b strings.Builder
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			return "", false
		}
		switch a {
		case "--user":
			a = "-u"
		case "--group":
			a = "-g"
		case "--name":
			a = "-n"
		}
		b.WriteString(a[1:])
	}
	flags := b.String()
	switch {
	case !strings.ContainsAny(flags, "ug") || strings.ContainsAny(flags, "-G"):
		return "", false
	case strings.Contains(flags, "n"):
		return rootName, true
	}
	return "0", true
}

// echo interprets backslashes as the Bourne shells of distributions do, if it is not bash's: where both are written
// into etc/passwd, only this one makes lines.
func (m *machine) echo(args []string) string {
	end := "\n"
	raw := m.bash
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "neE") == "" {
		if strings.Contains(args[0], "n") {
			end = ""
		}
		raw = strings.Contains(args[0], "E") || raw && !strings.Contains(args[0], "e")
		args = args[1:]
	}
	text := strings.Join(args, " ")
	if !raw {
		text = escapes(text)
	}
	return text + end
}

// printf repeats its format until the arguments are used up, as POSIX has it.
func printf(args []string) (string, bool) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 || len(args[0]) > 4096 || strings.HasPrefix(args[0], "-v") {
		return "", false
	}
	format, args := escapes(args[0]), args[1:]
	var b strings.Builder
	for {
		left := len(args)
		var ok bool
		if args, ok = formatOnce(&b, format, args); !ok || b.Len() > maxWord {
			return "", false
		}
		if len(args) == 0 || len(args) == left {
			return b.String(), true
		}
	}
}

func formatOnce(b *strings.Builder, format string, args []string) ([]string, bool) {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		if i == len(format) {
			return args, false
		}
		arg := ""
		if format[i] != '%' && len(args) > 0 {
			arg, args = args[0], args[1:]
		}
		switch format[i] {
		case '%':
			b.WriteByte('%')
		case 's', 'd', 'i', 'u', 'q':
			b.WriteString(arg)
		case 'b':
			b.WriteString(escapes(arg))
		default:
			return args, false
		}
	}
	return args, true
}
